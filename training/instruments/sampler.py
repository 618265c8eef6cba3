"""Instruments recorded note by note: a key is the nearest recording, played faster or slower.

General MIDI fonts are cut short and looped to be small. These are whole notes of players in rooms, and few: so a line may be
made of the recordings of other keys, which moves the formants, and one recorded instrument is many.
`scripts/samples` fetches them; what is not there is not played.
"""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from training.compose.note import Note
from training.rendering import effects

SAMPLE_RATE_HZ = 44100
SAMPLES = Path(__file__).parents[1] / "samples"
LONGEST_S = 12.0
SOFT_HZ = 1800
"""A note that is played softly has less above this frequency: there is one recording of a key."""

_STEPS = {"C": 0, "D": 2, "E": 4, "F": 5, "G": 7, "A": 9, "B": 11}
_NAME = re.compile(r"([A-G])(s|#)?(\d)")
_AUDIO = (".wav", ".ogg", ".mp3")

STRUCK = (
    "bass-electric",
    "guitar-acoustic",
    "guitar-electric",
    "guitar-nylon",
    "harp",
    "piano",
    "salamander",
    "xylophone",
)
"""What rings by itself; all others are bowed or blown, and sound as long as their notes."""


@dataclass(frozen=True)
class Take:
    """How a line is played on a recorded instrument.

    Attributes:
        instrument: name of its folder.
        detune_cents: tuning of the whole line.
        character: the notes are made from the recordings of keys so many semitones higher, slowed down.
        skip_s: how much of each recording's start is left out, as when a note is tied to the one before.
        release_s: how fast a note stops when it is let go (the time in which it falls to 37 %).
        softness: 0 to 1: how much duller a soft note is than a loud one.
    """

    instrument: str
    detune_cents: float = 0.0
    character: int = 0
    skip_s: float = 0.0
    release_s: float = 0.1
    softness: float = 0.5


def installed(instruments: Sequence[str], samples: Path = SAMPLES) -> tuple[str, ...]:
    """Those of ``instruments`` whose recordings are on this machine."""
    return tuple(name for name in instruments if keys(name, samples))


@functools.cache
def keys(instrument: str, samples: Path = SAMPLES) -> dict[int, Path]:
    """The recordings of an instrument by their MIDI pitch; empty where there are none."""
    found: dict[int, Path] = {}
    for path in sorted((samples / instrument).glob("*")):
        name = _NAME.match(path.name)
        if name and path.suffix in _AUDIO:
            found.setdefault(_STEPS[name[1]] + bool(name[2]) + 12 * (int(name[3]) + 1), path)
    return found


def choose(instruments: Sequence[str], rng: np.random.Generator) -> Take:
    """One of ``instruments``, played in a way of its own."""
    name = str(rng.choice(instruments))
    struck = name in STRUCK
    return Take(
        name,
        detune_cents=float(rng.normal(0, 6)),
        character=int(np.clip(round(rng.normal(0, 2.5)), -6, 6)),
        skip_s=0.0 if struck or rng.random() < 0.5 else float(rng.uniform(0.02, 0.15)),
        release_s=float(np.exp(rng.uniform(np.log(0.04), np.log(0.4)))),
        softness=float(rng.uniform(0, 1)),
    )


def play(
    notes: Sequence[Note], take: Take, duration_s: float, rng: np.random.Generator, samples: Path = SAMPLES
) -> NDArray[np.float32]:
    """Plays a line, ``(2, samples)`` at 44.1 kHz, both channels alike; a note out of reach of all recordings is left out.

    Raises:
        FileNotFoundError: there are no recordings of this instrument.
    """
    recorded = keys(take.instrument, samples)
    if not recorded:
        raise FileNotFoundError(f"{samples / take.instrument} holds no recordings. Run: scripts/samples {samples}")
    line = np.zeros(round(duration_s * SAMPLE_RATE_HZ), np.float32)
    for note in notes:
        nearest = min(recorded, key=lambda pitch: abs(pitch - note.pitch - take.character))
        semitones = note.pitch - nearest + (take.detune_cents + float(rng.normal(0, 4))) / 100
        if abs(semitones) > 14:
            continue
        start = round(note.start_s * SAMPLE_RATE_HZ)
        sound = _strike(_load(recorded[nearest]), note, semitones, take)[: max(0, len(line) - start)]
        line[start : start + len(sound)] += sound
    return np.stack((line, line))


def _strike(recording: NDArray[np.float32], note: Note, semitones: float, take: Take) -> NDArray[np.float32]:
    """One note, ``(samples,)``; ``recording`` is ``(2, samples)``: as it is, and dull."""
    ratio = 2 ** (semitones / 12)
    held = note.duration_s * SAMPLE_RATE_HZ
    first = take.skip_s * SAMPLE_RATE_HZ
    count = int(min(held + 5 * take.release_s * SAMPLE_RATE_HZ, (recording.shape[1] - 1 - first) / ratio))
    if count < 64:
        return np.zeros(0, np.float32)
    positions = first + np.arange(count) * ratio
    whole = positions.astype(np.int64)
    between = (positions - whole).astype(np.float32)
    dullness = np.float32(take.softness * (1 - note.velocity / 127))
    bright, dull = recording[:, whole] * (1 - between) + recording[:, whole + 1] * between
    sound = (1 - dullness) * bright + dullness * dull
    if held < count:
        tail = np.arange(count - int(held)) / (take.release_s * SAMPLE_RATE_HZ)
        sound[int(held) :] *= np.exp(-tail).astype(np.float32)
    sound[:32] *= np.linspace(0, 1, 32, dtype=np.float32)
    sound[-64:] *= np.linspace(1, 0, 64, dtype=np.float32)
    return np.asarray(sound * np.float32((note.velocity / 127) ** 1.3), np.float32)


@functools.lru_cache(maxsize=400)
def _load(path: Path) -> NDArray[np.float32]:
    """A recording in mono from where it begins, peak 1, and the same without its brightness; ``(2, samples)``."""
    audio, rate_hz = soundfile.read(path, dtype="float32", always_2d=True)
    mono = soxr.resample(audio[: round(LONGEST_S * rate_hz)].mean(axis=1), rate_hz, SAMPLE_RATE_HZ)
    mono = mono / (float(np.abs(mono).max()) + 1e-9)
    begins = int(np.argmax(np.abs(mono) > 0.02))
    mono = np.asarray(mono[max(0, begins - 64) :], np.float32)
    dull = effects.cut(np.stack((mono, mono)), SOFT_HZ, high=True, order=1)[0]
    return np.stack((mono, dull))
