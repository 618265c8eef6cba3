"""Drum and percussion hits (recorded, from presets, synthesised), the kits assembled from them, and playing of kits."""

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from training.compose import grooves
from training.compose.note import Note
from training.instruments import drumsynth, hits, library

SAMPLE_RATE_HZ = 44100
DRUMKITS = Path("/usr/share/hydrogen/data/drumkits")
SAMPLES = Path("/usr/share/sonic-pi/samples")
LONGEST_HIT_S = 3.0

_KINDS = (
    ("rim", r"stick|rim ?click|snare.*rimshot"),
    ("kick", r"kick|bass ?drum"),
    ("snare", r"snare"),
    ("clap", r"clap|snap"),
    ("open_hat", r"open|hat.*op\b|op$|ohh|swish|semi|hat.*free"),
    ("hat", r"clos|hat|hh|pedal"),
    ("tom", r"tom"),
    ("ride", r"ride|bell|cup"),
    ("crash", r"crash|splash|china|cymbal"),
)
_HANDS = r"cajon|maraca|bongo|tambourine|cowbell|clave|woodblock|waterglass|conga|djembe|sangban|dunun|kenkeni|whistle"
_SONIC = {
    "kick": ("bd_*", "drum_heavy_kick*", "drum_bass_*", "elec_soft_kick*", "elec_hollow_kick*"),
    "snare": ("sn_*", "drum_snare*", "elec_*snare*"),
    "hat": ("drum_cymbal_closed*", "drum_cymbal_pedal*", "elec_tick*"),
    "open_hat": ("drum_cymbal_open*", "elec_cymbal*"),
    "tom": ("drum_tom*", "elec_fuzz_tom*"),
    "crash": ("drum_splash*", "drum_cymbal_hard*"),
    "ride": ("drum_cymbal_soft*",),
    "clap": ("perc_snap*",),
    "hand": (
        "tabla_*",
        "drum_cowbell*",
        "elec_wood*",
        "elec_bong*",
        "elec_triangle*",
        "elec_blup*",
        "perc_bell*",
        "elec_pop*",
        "elec_blip*",
    ),
}
_PRESETS = (
    ("hand", r"bongo|conga|clave?|cow|tamb|maraca|shaker|triangle|guiro|taiko|wood|_cab|agogo|timbale|bell"),
    ("rim", r"rim"),
    ("kick", r"kick|kik|bass.?drum|(^|_)bd|^k_|^fisa_k"),
    ("snare", r"snare|snr|(^|_)sn(_|\d|$)|^s_|^fisa_s"),
    ("clap", r"clap|clp"),
    ("open_hat", r"hat_?-?o|open|^h_o"),
    ("hat", r"hat|^h_c"),
    ("tom", r"(^|_)tom"),
    ("ride", r"ride"),
    ("crash", r"cym|crash"),
)
"""Names of drum kinds in the presets of DrumSynth."""

KEYS = {
    **dict.fromkeys((35, 36), "kick"),
    **dict.fromkeys((38, 40), "snare"),
    **dict.fromkeys((42, 44), "hat"),
    **dict.fromkeys((51, 53, 59), "ride"),
    **dict.fromkeys((49, 52, 55, 57), "crash"),
    **dict.fromkeys((41, 43, 45, 47, 48, 50), "tom"),
    37: "rim",
    39: "clap",
    46: "open_hat",
}
"""Kind of drum by key of the General MIDI drum channel."""

_LEVELS = {
    "kick": 1.0,
    "snare": 0.85,
    "rim": 0.6,
    "clap": 0.6,
    "hat": 0.35,
    "open_hat": 0.35,
    "ride": 0.35,
    "tom": 0.7,
    "crash": 0.5,
}

_LOOPS = ("compus", "industrial", "mehackit1", "mehackit2")  # breaks sampled from records are left out

MOST_LAYERS, MOST_TAKES = 6, 4
"""Maximum number of velocity layers and of round robins per drum in a kit."""

Recorded = tuple[Path, ...]
"""Files of one drum, from soft to loud."""


@functools.lru_cache(maxsize=1)
def recorded() -> dict[str, dict[str, tuple[Recorded, ...]]]:
    """All installed recordings: kit, kind of drum, drums of that kind. Empty if no package is installed."""
    kits: dict[str, dict[str, list[Recorded]]] = {}
    for description in sorted(DRUMKITS.glob("*/drumkit.xml")):
        kit = kits.setdefault(description.parent.name, {})
        for instrument in _instruments(description):
            name = (instrument.findtext("name") or "").lower()
            kind = (
                "hand"
                if re.search(_HANDS, name)
                else next((kind for kind, words in _KINDS if re.search(words, name)), None)
            )
            layers = [layer.findtext("filename") for layer in instrument.iter("layer")] or [
                instrument.findtext("filename")
            ]
            files = tuple(path for file in layers if file and (path := description.parent / file).exists())
            if kind and files:
                kit.setdefault(kind, []).append(files)
    sonic = kits.setdefault("sonic", {})
    for kind, patterns in _SONIC.items():
        sonic[kind] = [(file,) for pattern in patterns for file in sorted(SAMPLES.glob(pattern + ".flac"))]
    for preset in sorted(drumsynth.PRESETS.glob("*/*.ds")):
        kind = next((kind for kind, words in _PRESETS if re.search(words, preset.stem.lower())), None)
        if kind and drumsynth.sounds(preset):
            kits.setdefault(f"drumsynth {preset.parent.name}", {}).setdefault(kind, []).append((preset,))
    kits.update(_of_library(held_out=False))
    return _filled(kits)


@functools.lru_cache(maxsize=1)
def never_trained() -> dict[str, dict[str, tuple[Recorded, ...]]]:
    """The same for held-out recordings, which are used for evaluation only."""
    return _filled(_of_library(held_out=True))


def _filled(kits: dict[str, dict[str, list[Recorded]]]) -> dict[str, dict[str, tuple[Recorded, ...]]]:
    return {name: {kind: tuple(drums) for kind, drums in kit.items() if drums} for name, kit in kits.items()}


def _of_library(held_out: bool) -> dict[str, dict[str, list[Recorded]]]:
    """Kits and percussion sets of the library: each piece is a drum with some of its velocity layers."""
    kits: dict[str, dict[str, list[Recorded]]] = {}
    for instrument in library.instruments(held_out):
        if instrument.family not in ("kit", "hand-percussion"):
            continue
        pieces: dict[str, dict[float, list[Path]]] = {}
        for recording in library.recordings(instrument):
            pieces.setdefault(recording.piece, {}).setdefault(recording.dynamic, []).append(recording.path)
        kit = kits.setdefault(instrument.name, {})
        for piece, layers in pieces.items():
            kind = instrument.pieces.get(piece, "hand") if instrument.family == "kit" else "hand"
            for take in range(min(MOST_TAKES, max(map(len, layers.values())))):
                files = [paths[take % len(paths)] for _, paths in sorted(layers.items())]
                every = max(1, -(-len(files) // MOST_LAYERS))
                kit.setdefault(kind, []).append(tuple(files[every - 1 :: every]))
    return kits


def _instruments(description: Path) -> list[ElementTree.Element]:
    text = re.sub(r"\sxmlns(:\w+)?=\"[^\"]+\"|xsi:\w+=\"[^\"]*\"", "", description.read_text(errors="replace"))
    return list(ElementTree.fromstring(text).iter("instrument"))


@functools.lru_cache(maxsize=600)
def load(path: Path, longest_s: float = LONGEST_HIT_S) -> NDArray[np.float32]:
    """Reads a recorded hit at 44.1 kHz, or renders a preset: ``(2, samples)``, peak 1, at most ``longest_s``."""
    if path.suffix == ".ds":
        return drumsynth.render(path)
    audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
    if rate != SAMPLE_RATE_HZ:
        audio = soxr.resample(audio, rate, SAMPLE_RATE_HZ)
    audio = audio[: int(longest_s * SAMPLE_RATE_HZ), :2].T  # (2, samples) or (1, samples)
    audio = np.repeat(audio, 2, axis=0) if audio.shape[0] == 1 else audio
    fade = min(audio.shape[1], 2000 if audio.shape[1] >= int(longest_s * SAMPLE_RATE_HZ) else 64)
    audio = audio.copy()
    audio[:, audio.shape[1] - fade :] *= np.linspace(1, 0, fade, dtype=np.float32)
    return np.ascontiguousarray(audio / max(1e-4, float(np.abs(audio).max())), np.float32)


def repitch(audio: NDArray[np.float32], speed: float) -> NDArray[np.float32]:
    """Resamples to a higher (``speed`` over 1) or lower pitch."""
    if abs(speed - 1) < 1e-3:
        return audio
    positions = np.arange(int(audio.shape[1] / speed)) * speed
    return np.stack([np.interp(positions, np.arange(audio.shape[1]), channel) for channel in audio]).astype(np.float32)


@dataclass(frozen=True)
class Drum:
    """One drum of a kit: hits from soft to loud, ``(2, samples)`` each, and its pan position."""

    strokes: tuple[NDArray[np.float32], ...]
    gain: float
    position: float

    def strike(
        self, audio: NDArray[np.float32], start_s: float, velocity: int, longest_s: float = LONGEST_HIT_S
    ) -> None:
        """Adds a hit to ``audio``, ``(2, samples)``."""
        loudness = velocity / 127
        stroke = self.strokes[min(len(self.strokes) - 1, int(loudness * len(self.strokes)))]
        start = round(start_s * SAMPLE_RATE_HZ)
        stop = min(audio.shape[1], start + min(stroke.shape[1], int(longest_s * SAMPLE_RATE_HZ)))
        if not 0 <= start < stop:
            return
        angle = (self.position + 1) * np.pi / 4
        gains = np.array(((np.cos(angle),), (np.sin(angle),)), np.float32) * np.sqrt(2) * self.gain * loudness**1.5
        audio[:, start:stop] += stroke[:, : stop - start] * gains


def _drum(source: Sequence[NDArray[np.float32]], gain: float, position: float, semitones: float) -> Drum:
    speed = 2 ** (semitones / 12)
    return Drum(tuple(repitch(stroke, speed) for stroke in source), gain, position)


def assemble(rng: np.random.Generator, synthetic: float, *, held_out: bool = False) -> dict[str, Drum]:
    """Assembles a kit: mostly one recorded kit, some drums from others, a share ``synthetic`` synthesised.

    With ``held_out`` it has held-out recordings only.
    """
    kits = never_trained() if held_out else recorded()
    names = [name for name, kit in kits.items() if "kick" in kit and "snare" in kit]
    base = kits[str(rng.choice(names))] if names else {}
    kit: dict[str, Drum] = {}
    mirrored = float(rng.choice((-1, 1)))
    for kind, gain in _LEVELS.items():
        others = [other[kind] for other in kits.values() if kind in other]
        pool = base.get(kind) if rng.random() < 0.75 else None
        if pool is None and others:
            pool = others[rng.integers(len(others))]
        if held_out and pool is None:
            pool = base.get(kind)
            if pool is None:
                continue
        made = 0.0 if held_out else max(synthetic, 0.25) if kind in ("kick", "tom") else synthetic
        if pool is None or (rng.random() < made and kind in hits.KINDS):
            source: Sequence[NDArray[np.float32]] = (hits.strike(kind, rng),)
        else:
            source = [load(file) for file in pool[rng.integers(len(pool))]]
            if kind == "kick" and not held_out and rng.random() < 0.25:  # layered kick, as in studio production
                body = hits.strike("kick", rng) * np.float32(rng.uniform(0.3, 0.9))
                source = [_layer(stroke, body) for stroke in source]
        if kind in ("kick", "snare", "tom") and rng.random() < 0.25:
            source = _damped(source, float(rng.uniform(0.05, 0.25)))
        wide = 0.05 if kind in ("kick", "snare", "rim", "clap") else 0.45
        kit[kind] = _drum(
            source,
            gain * float(rng.uniform(0.6, 1.3)),
            mirrored * float(rng.uniform(-wide, wide)),
            float(rng.normal(0, 2)),
        )
    return kit


def _damped(source: Sequence[NDArray[np.float32]], decay_s: float) -> Sequence[NDArray[np.float32]]:
    """A damped or gated drum: its hits decay faster."""
    return [
        np.asarray(stroke * np.exp(-np.arange(stroke.shape[1]) / (decay_s * SAMPLE_RATE_HZ)), np.float32)
        for stroke in source
    ]


def _layer(first: NDArray[np.float32], second: NDArray[np.float32]) -> NDArray[np.float32]:
    longer = max(first.shape[1], second.shape[1])
    both = [np.pad(audio, ((0, 0), (0, longer - audio.shape[1]))) for audio in (first, second)]
    return np.asarray(both[0] + both[1], np.float32)


def play(notes: Sequence[Note], kit: dict[str, Drum], duration_s: float) -> NDArray[np.float32]:
    """Plays notes on keys of the General MIDI drum channel; ``(2, samples)``. A closed hi-hat chokes an open one."""
    audio = np.zeros((2, round(duration_s * SAMPLE_RATE_HZ)), np.float32)
    toms: dict[int, Drum] = {}
    hats = [note.start_s for note in notes if note.pitch in (grooves.HAT, grooves.PEDAL)]
    for note in notes:
        kind = KEYS.get(note.pitch)
        if kind is None or kind not in kit:
            continue
        drum = kit[kind]
        if kind == "tom":
            if note.pitch not in toms:
                toms[note.pitch] = _drum(drum.strokes, drum.gain, (47 - note.pitch) / 12, (note.pitch - 46) * 1.2)
            drum = toms[note.pitch]
        longest = LONGEST_HIT_S
        if kind == "open_hat":
            longest = min((time - note.start_s for time in hats if time > note.start_s + 0.02), default=LONGEST_HIT_S)
        drum.strike(audio, note.start_s, note.velocity, longest)
    return audio


def loops() -> list[Path]:
    """Installed recordings of drum loops."""
    return [file for name in _LOOPS if (file := SAMPLES / f"loop_{name}.flac").exists()]


def play_loop(duration_s: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Repeats a recorded loop at a random speed, from a random position; ``(2, samples)``."""
    files = loops()
    loop = repitch(load(files[rng.integers(len(files))], 60.0), float(rng.uniform(0.75, 1.25)))
    samples = round(duration_s * SAMPLE_RATE_HZ)
    repeated = np.tile(loop, samples // loop.shape[1] + 2)
    start = int(rng.integers(loop.shape[1]))
    return np.ascontiguousarray(repeated[:, start : start + samples])


def hand_percussion(
    notes: Sequence[Note], duration_s: float, rng: np.random.Generator, *, held_out: bool = False
) -> NDArray[np.float32]:
    """Plays percussion: each key gets a recorded hand drum, bell or shaker; ``(2, samples)``."""
    audio = np.zeros((2, round(duration_s * SAMPLE_RATE_HZ)), np.float32)
    sets = never_trained() if held_out else recorded()
    pool = [drum for kit in sets.values() for drum in kit.get("hand", ())]
    family = [kit["hand"] for kit in sets.values() if len(kit.get("hand", ())) > 5]
    if family and rng.random() < 0.6:
        pool = list(family[rng.integers(len(family))])
    players: dict[int, Drum] = {}
    for note in notes:
        if note.pitch not in players:
            source = (
                [load(file) for file in pool[rng.integers(len(pool))]]
                if pool and (held_out or note.pitch not in (70, 82, 69))
                else (hits.strike("shaker", rng),)
            )
            players[note.pitch] = _drum(
                source, float(rng.uniform(0.4, 1)), float(rng.uniform(-0.7, 0.7)), float(rng.normal(0, 2))
            )
        players[note.pitch].strike(audio, note.start_s, note.velocity)
    return audio
