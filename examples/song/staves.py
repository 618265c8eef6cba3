"""Staves and their playback with a SoundFont."""

from collections.abc import Iterator

import numpy as np

from examples.song.score import BEATS, CLOCK, DURATION_S, HARMONY
from training.compose.note import Note
from training.compose.score import Line as Staff
from training.instruments import soundfont
from training.instruments.soundfont import GENERAL_MIDI, Patch
from training.rendering.effects import Audio

FONT = GENERAL_MIDI[0]
"""FluidR3 GM (MIT)."""


def staff_of(seed: int, timing_s: float = 0.005, touch: float = 4.0) -> Staff:
    """An empty staff for a player whose small inaccuracies come from ``seed``."""
    return Staff(CLOCK, np.random.default_rng((5, seed)), timing_s, 0.0, touch)


def in_order(staff: Staff) -> list[Note]:
    """The notes of a staff as they sound."""
    return sorted(staff.notes, key=lambda note: (note.start_s, note.pitch))


def play(staff: Staff, patch: Patch) -> Audio:
    """Plays a staff, dry: ``(2, samples)`` for the whole song at 44.1 kHz."""
    return soundfont.play(in_order(staff), patch, DURATION_S)


def chords(first: int, last: int) -> Iterator[tuple[float, float]]:
    """First beat and length of every chord from bar ``first`` up to bar ``last``."""
    for bar in range(first, last):
        length = BEATS / len(HARMONY[bar])
        for place in range(len(HARMONY[bar])):
            yield bar * BEATS + place * length, length
