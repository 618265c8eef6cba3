"""Physical and FM models of Csound and of the Synthesis ToolKit (Cook and Scavone 1999), with Debian's ``csound``.

General MIDI fonts have one fixed sound per instrument. A model of a string or a reed changes its timbre with pitch,
and each player has random settings of bow, breath or plectrum. The models here are in tune over their stated range (a
test measures it); Csound's brass models and STK's flute are not, so they are left out. The models are skipped if
``csound`` or its STK plug-in is not installed.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from training.compose.note import Note

SAMPLE_RATE_HZ = 44100
WAVES = Path("/usr/share/stk/rawwaves")
PLUG_INS = "usr/lib/*/csound/plugins64-6.0/libstkops.so"

Range = tuple[float, float]


@dataclass(frozen=True)
class Model:
    """A Csound instrument.

    Attributes:
        code: its opcode line; ``{0}``, ``{1}``, ... are the player's values, ``khard`` is 0 (soft) to 1 (loud).
        values: minimum and maximum of each value.
        lowest, highest: playable range in MIDI pitches; other notes are moved by octaves.
        release_s: minimum and maximum of the release time.
        cents: tuning correction.
    """

    code: str
    values: tuple[Range, ...]
    lowest: int
    highest: int
    release_s: Range = (0.05, 0.25)
    cents: float = 0.0


_BLOWN = ((0.0, 25.0), (20.0, 60.0), (0.0, 12.0))  # breath noise, vibrato rate, vibrato depth

MODELS: dict[str, tuple[Model, ...]] = {
    "strings": (
        Model(
            "a1 STKBowed ifrq, 1, 2, {0}, 4, {1}, 11, {2}, 1, {3}, 128, 60 + 67 * ihard",
            ((35, 80), (30, 80), (30, 60), (0, 14)), 43, 84, (0.1, 0.4),
        ),
        Model(
            "kvib linseg 0, 0.3, 1, 1, 1\na1 wgbow 0.3 + 0.4 * ihard, ifrq, {0}, {1}, {2}, {3} * kvib, 1",
            ((2.5, 4.2), (0.07, 0.2), (4.5, 6.5), (0.0, 0.012)), 40, 84, (0.1, 0.4),
        ),
    ),
    "woodwinds": (
        Model(
            "a1 STKClarinet ifrq, 1, 2, {3}, 4, {0}, 11, {1}, 1, {2}, 128, 70 + 57 * ihard", (*_BLOWN, (40, 75)), 43, 88
        ),
        Model(
            "a1 STKSaxofony ifrq, 1, 2, {3}, 4, {0}, 26, {4}, 11, {1}, 1, {2}, 128, 70 + 57 * ihard",
            (*_BLOWN, (40, 75), (35, 80)), 40, 78,
        ),
        Model(
            "a1 STKBlowHole ifrq, 1, 2, {3}, 4, {0}, 11, 0, 1, 0, 128, 70 + 57 * ihard", (*_BLOWN, (45, 75)), 43, 80
        ),
        Model("a1 STKBlowBotl ifrq, 1, 4, {0}, 11, {1}, 1, {2}, 128, 70 + 57 * ihard", _BLOWN, 48, 85),
        Model(
            "a1 wgclar 0.3 + 0.5 * ihard, ifrq, {0}, {1}, 0.1, {2}, {3}, {4}, 1",
            ((-0.35, -0.22), (0.03, 0.15), (0.05, 0.35), (4.5, 6), (0.0, 0.06)), 43, 90,
        ),
        Model(
            "a1 wgflute 0.3 + 0.5 * ihard, ifrq, {0}, {1}, 0.1, {2}, {3}, {4}, 1",
            ((0.31, 0.33), (0.05, 0.15), (0.05, 0.25), (4.5, 6), (0.0, 0.05)), 57, 90, cents=-52,
        ),
    ),
    "guitar": (
        Model("a1 STKPlucked ifrq, 0.4 + 0.6 * ihard", (), 36, 84),
        Model(
            "a1 STKMandolin ifrq, 0.4 + 0.6 * ihard, 2, {0}, 4, {1}, 3, {2}, 11, 64, 1, 0",
            ((10, 110), (10, 90), (5, 50)), 43, 80,
        ),
        Model("a1 wgpluck2 {0}, 0.3 + 0.6 * ihard, ifrq, {1}, {2}", ((0.1, 0.5), (0.3, 0.9), (0.3, 0.7)), 36, 74),
        Model(
            "aex noise 0.02 + 0.04 * ihard, {3}\na1 repluck {0}, 0.3 + 0.6 * ihard, ifrq, {1}, {2}, aex",
            ((0.1, 0.5), (0.3, 0.9), (0.3, 0.6), (0.0, 0.9)), 36, 72,
        ),
    ),
    "bass": (
        Model("a1 STKPlucked ifrq, 0.4 + 0.6 * ihard", (), 26, 60),
        Model("a1 wgpluck2 {0}, 0.3 + 0.6 * ihard, ifrq, {1}, {2}", ((0.05, 0.4), (0.3, 0.9), (0.2, 0.6)), 26, 60),
    ),
    "harp": (Model("a1 STKSitar ifrq, 0.4 + 0.6 * ihard", (), 40, 76),),
    "electric piano": (
        Model(
            "a1 STKRhodey ifrq, 0.3 + 0.7 * ihard, 2, {0}, 4, {1}, 11, {2}, 1, {3}, 128, 100",
            ((20, 110), (20, 110), (20, 60), (0, 30)), 28, 90,
        ),
        Model(
            "a1 STKWurley ifrq, 0.3 + 0.7 * ihard, 2, {0}, 4, {1}, 11, {2}, 1, {3}, 128, 100",
            ((20, 110), (20, 110), (20, 60), (0, 30)), 28, 90,
        ),
    ),
    "organ": (
        Model(
            "a1 STKBeeThree ifrq, 0.6, 2, {0}, 4, {1}, 11, {2}, 1, {3}, 128, 110",
            ((10, 120), (10, 120), (20, 60), (0, 40)), 28, 90, (0.02, 0.06),
        ),
    ),
    "lead": (
        Model(
            "a1 STKMoog ifrq, 0.4 + 0.6 * ihard, 2, {0}, 4, {1}, 11, {2}, 1, {3}, 128, 110",
            ((20, 110), (20, 110), (30, 60), (0, 10)), 28, 84,
        ),
        Model(
            "a1 STKHevyMetl ifrq, 0.4 + 0.6 * ihard, 2, {0}, 4, {1}, 11, {2}, 1, {3}, 128, 110",
            ((20, 110), (20, 110), (30, 60), (0, 20)), 28, 90,
        ),
    ),
    "pad": (
        Model(
            "a1 STKFMVoices ifrq, 0.6, 2, {0}, 4, {1}, 11, 40, 1, {2}, 128, 100",
            ((0, 120), (20, 110), (0, 20)), 50, 90, (0.2, 1.0),
        ),
    ),
}  # fmt: skip
"""Models by stem or by role."""

_DOCUMENT = """<CsoundSynthesizer>
<CsInstruments>
sr = {rate}
ksmps = 32
nchnls = 1
0dbfs = 1
gisine ftgen 1, 0, 4096, 10, 1
instr 1
ilevel = p4
ifrq = cpsmidinn(p5)
ihard = p6
{code}
kfade linsegr 0, 0.002, 1, {release_s}, 0
out a1 * kfade * ilevel
endin
</CsInstruments>
<CsScore>
{score}
e
</CsScore>
</CsoundSynthesizer>
"""


@cache
def installed() -> bool:
    """Whether Csound and its STK models are installed."""
    return bool(shutil.which("csound") and WAVES.is_dir() and next(Path("/").glob(PLUG_INS), None))


def play(
    notes: Sequence[Note], models: Sequence[Model], duration_s: float, rng: np.random.Generator
) -> NDArray[np.float32]:
    """Plays all notes on one randomly chosen model; ``(2, samples)`` at 44.1 kHz, both channels identical.

    Raises:
        RuntimeError: Csound failed.
    """
    model = models[int(rng.integers(len(models)))]
    values = [f"{rng.uniform(low, high):.4f}" for low, high in model.values]
    score = "\n".join(_line(note, model, rng) for note in notes)
    document = _DOCUMENT.format(
        rate=SAMPLE_RATE_HZ,
        code=model.code.format(*values),
        release_s=f"{rng.uniform(*model.release_s):.3f}",
        score=score,
    )
    audio = np.zeros((2, round(duration_s * SAMPLE_RATE_HZ)), np.float32)
    played = _render(document)[: audio.shape[1]]
    audio[:, : len(played)] = played
    return audio


def _line(note: Note, model: Model, rng: np.random.Generator) -> str:
    pitch = note.pitch_within(model.lowest, model.highest)
    tuned = pitch + (model.cents + float(rng.normal(0, 3))) / 100
    level, hard = 10 ** (-1.2 * (1 - note.velocity / 127)), note.velocity / 127
    return f"i1 {note.start_s:.4f} {max(0.03, note.duration_s):.4f} {level:.4f} {tuned:.4f} {hard:.3f}"


def _render(document: str) -> NDArray[np.float32]:
    with tempfile.TemporaryDirectory() as folder:
        path, sound = Path(folder) / "part.csd", Path(folder) / "part.wav"
        path.write_text(document)
        command = ["csound", "-d", "-m0", "-W", "-f", "-o", str(sound), str(path)]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "RAWWAVE_PATH": str(WAVES)})
        if done.returncode or not sound.exists():
            raise RuntimeError(f"csound ended with {done.returncode}: {done.stderr[-500:]}")
        samples, _ = soundfile.read(sound, dtype="float32")
    return np.asarray(np.nan_to_num(samples, posinf=0, neginf=0), np.float32)
