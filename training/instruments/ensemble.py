"""Parts on instruments recorded note by note: the choice of instruments, solo or as a section."""

from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from training.compose.note import Note
from training.compose.song import Part
from training.instruments import library, sampler
from training.instruments.library import SAMPLES, TRAINING, Instrument, InstrumentChoice
from training.rendering import effects
from training.rendering.effects import Audio

_PLUCKED = ("acoustic-guitar", "electric-guitar", "plucked")
FAMILIES: dict[str, dict[str, tuple[str, ...]]] = {
    "bass": {"": ("electric-bass",), "upright": ("upright-bass",)},
    "guitar": {
        "": _PLUCKED,
        **dict.fromkeys(("power", "riff", "lead", "funk", "offbeat"), ("electric-guitar",)),
        "fingerpick": ("acoustic-guitar", "plucked"),
    },
    "keyboard": {
        "": ("piano", "electric-piano"),
        **dict.fromkeys(("ballad", "stride", "montuno"), ("piano",)),
        "organ": ("organ",),
        "organ_bubble": (),
        "accordion": ("accordion",),
    },
    "strings": {"": ("bowed",), "pizzicato": ("pizzicato",), "harp": ("harp",), "plucked": ("harp",)},
    "brass": {"": ("brass",)},
    "woodwinds": {"": ("woodwind",)},
    "percussion": {"": (), "mallets": ("mallets",)},
    "synth": {"": (), "lead": ("synth-lead",), "pad": ("synth-pad",)},
}
"""Families of instruments by stem and role; the empty role is the default."""

_RARELY = ("synth-lead", "synth-pad")
"""Families with one or two sounds: they are used a fifth as often as the others."""

_SECTIONS = ("strings", "brass", "woodwinds")
_REACH = 4  # semitones beyond the highest and lowest recording of an instrument


def candidates(part: Part, choice: InstrumentChoice = TRAINING, samples: Path = SAMPLES) -> tuple[Instrument, ...]:
    """The installed instruments that suit a part and cover nearly all of its notes."""
    roles = FAMILIES.get(part.stem, {})
    families = roles.get(part.role, roles.get("", ()))
    return tuple(
        instrument
        for instrument in library.instruments(choice.held_out)
        if instrument.family in families and _reaches(_pitches(instrument, samples), part.notes)
    )


def _pitches(instrument: Instrument, samples: Path) -> list[float]:
    return [one.pitch for one in library.recordings(instrument, samples) if one.pitch is not None]


def _reaches(pitches: Collection[float], notes: Sequence[Note]) -> bool:
    if not pitches:
        return False
    low, high = min(pitches) - _REACH, max(pitches) + _REACH
    within = [low <= note.pitch <= high for note in notes]
    return bool(within) and float(np.mean(within)) > 0.9


def draw_candidates(
    part: Part, rng: np.random.Generator, choice: InstrumentChoice = TRAINING
) -> tuple[Instrument, ...]:
    """Instruments that fit a part, or an empty tuple, at random by share. Uses ``rng`` only if an instrument fits."""
    found = candidates(part, choice)
    if not found:
        return ()
    share = choice.share * (0.2 if all(one.family in _RARELY for one in found) and not choice.held_out else 1.0)
    return found if rng.random() < share else ()


def play(
    part: Part,
    instruments: Sequence[Instrument],
    duration_s: float,
    rng: np.random.Generator,
    samples: Path = SAMPLES,
) -> Audio:
    """Plays a part on one of ``instruments``, solo or as a section; ``(2, samples)``."""
    take = sampler.choose(instruments, rng)
    audio = sampler.play(part.notes, take, duration_s, rng, samples)
    if part.stem not in _SECTIONS or rng.random() < 0.6:
        return audio
    same = rng.random() < 0.7
    for _ in range(int(rng.integers(1, 4))):
        other = sampler.choose((take.instrument,) if same else instruments, rng)
        late = [replace(note, start_s=max(0.0, note.start_s + float(rng.normal(0.005, 0.012)))) for note in part.notes]
        second = sampler.play(late, other, duration_s, rng, samples)
        audio = audio + effects.pan(second, float(rng.uniform(-0.9, 0.9))) * np.float32(rng.uniform(0.4, 1))
    return audio
