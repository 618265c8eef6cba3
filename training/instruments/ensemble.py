"""Parts played on instruments recorded note by note: who may play them, alone or as a section."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from training.compose.note import Note
from training.compose.song import Part
from training.instruments import sampler
from training.rendering import effects
from training.rendering.effects import Audio

_SHARE = 0.35
"""How many of the parts that a recorded instrument can play, one does."""

_PIANOS = ("piano", "salamander")
_INSTRUMENTS: dict[str, dict[str, tuple[str, ...]]] = {
    "bass": {"": ("bass-electric",), "upright": ()},
    "guitar": {
        "": ("guitar-acoustic", "guitar-nylon", "guitar-electric"),
        **dict.fromkeys(("power", "riff", "lead", "funk", "offbeat"), ("guitar-electric",)),
        "fingerpick": ("guitar-acoustic", "guitar-nylon"),
    },
    "keyboard": {"": _PIANOS, "organ": ("organ",), "organ_bubble": (), "accordion": ("harmonium",)},
    "strings": {
        "": ("violin", "cello", "contrabass"),
        "pizzicato": (),
        "harp": ("harp",),
        "plucked": ("harp",),
    },
    "brass": {"": ("trumpet", "trombone", "french-horn", "tuba")},
    "woodwinds": {"": ("flute", "clarinet", "bassoon", "saxophone")},
    "percussion": {"": (), "mallets": ("xylophone",)},
}
"""By stem and role; the empty role is for all that are not named."""

_SECTIONS = ("strings", "brass", "woodwinds")
_REACH = 4  # semitones beyond an instrument's highest and lowest recording


def fitting(part: Part, samples: Path = sampler.SAMPLES) -> tuple[str, ...]:
    """The installed instruments that suit a part and reach nearly all of its notes."""
    roles = _INSTRUMENTS.get(part.stem, {})
    names = sampler.installed(roles.get(part.role, roles.get("", ())), samples)
    return tuple(name for name in names if _reaches(sampler.keys(name, samples), part.notes))


def _reaches(pitches: Collection[int], notes: Sequence[Note]) -> bool:
    within = [min(pitches) - _REACH <= note.pitch <= max(pitches) + _REACH for note in notes]
    return bool(within) and float(np.mean(within)) > 0.9


def invited(part: Part, rng: np.random.Generator) -> tuple[str, ...]:
    """Who fits a part, as often as one of them is to play it; else nobody. Draws nothing where nobody fits."""
    names = fitting(part)
    return names if names and rng.random() < _SHARE else ()


def play(
    part: Part,
    names: Sequence[str],
    duration_s: float,
    rng: np.random.Generator,
    samples: Path = sampler.SAMPLES,
) -> Audio:
    """Plays a part on one of ``names``, or with several players where a section may; ``(2, samples)``."""
    take = sampler.choose(names, rng)
    audio = sampler.play(part.notes, take, duration_s, rng, samples)
    if part.stem not in _SECTIONS or rng.random() < 0.6:
        return audio
    same = rng.random() < 0.7
    for _ in range(int(rng.integers(1, 4))):
        other = sampler.choose((take.instrument,) if same else names, rng)
        late = [replace(note, start_s=max(0.0, note.start_s + float(rng.normal(0.005, 0.012)))) for note in part.notes]
        second = sampler.play(late, other, duration_s, rng, samples)
        audio = audio + effects.pan(second, float(rng.uniform(-0.9, 0.9))) * np.float32(rng.uniform(0.4, 1))
    return audio
