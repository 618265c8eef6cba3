"""Melodies in phrases with repeats and rests, which end on chord tones; harmonies and counter-melodies."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from training.compose.note import Note
from training.compose.score import Line, Plan
from training.compose.theory import Key, nearest

_RHYTHMS = (
    # Onset and length in beats within a bar of four.
    ((0, 1), (1, 1), (2, 2)),
    ((0, 0.5), (0.5, 0.5), (1, 1), (2, 1), (3, 1)),
    ((0.5, 0.5), (1, 0.5), (1.5, 1), (2.5, 1.5)),
    ((0, 1.5), (1.5, 0.5), (2, 1), (3, 0.5), (3.5, 0.5)),
    ((0, 3),),
    ((0, 2), (2, 2)),
    ((0, 0.5), (0.5, 1), (1.5, 0.5), (2, 0.5), (2.5, 1.5)),
    ((1, 0.5), (1.5, 0.5), (2, 0.5), (2.5, 0.5), (3, 1)),
    ((0, 0.75), (0.75, 0.75), (1.5, 0.5), (2, 2)),
    ((0, 0.5), (0.5, 0.5), (1, 0.5), (1.5, 0.5), (2, 0.5), (2.5, 0.5), (3, 1)),
)
_FAST = (
    tuple((step / 4, 0.25) for step in range(16)),
    ((0, 0.25), (0.25, 0.25), (0.5, 0.5), (1, 0.25), (1.25, 0.25), (1.5, 0.5), (2, 1), (3, 0.5), (3.5, 0.5)),
    (
        (0, 0.5),
        (0.5, 0.25),
        (0.75, 0.25),
        (1, 0.5),
        (1.5, 0.5),
        (2, 0.25),
        (2.25, 0.25),
        (2.5, 0.25),
        (2.75, 0.25),
        (3, 1),
    ),
)


@dataclass(frozen=True)
class Tessitura:
    """Range of a melody, as MIDI pitches."""

    low: int
    high: int

    def fold(self, pitch: int) -> int:
        """Moves a pitch by octaves into the range, which must span at least one octave."""
        while pitch < self.low:
            pitch += 12
        while pitch > self.high:
            pitch -= 12
        return pitch


def melody(
    plan: Plan, rng: np.random.Generator, range_: Tessitura, density: float, quiet: float = 0.0, virtuosity: float = 0.0
) -> tuple[Note, ...]:
    """Writes a melody in two-bar phrases; half of the bars use one of three motifs, each with its rhythm and contour.

    Args:
        plan: the song.
        rng: random generator.
        range_: lowest and highest pitch.
        density: share of bars with notes, 0 to 1; the others are rests between phrases.
        quiet: bars with less energy than this are rests.
        virtuosity: share of bars with sixteenth-note runs.
    """
    line = Line(plan.clock, rng, timing_s=0.01)
    motifs = [_motif(rng, virtuosity) for _ in range(3)]
    pitch = (range_.low + range_.high) // 2
    gate = float(rng.uniform(0.8, 1.0))
    resting = rng.random() > density
    for bar in plan.bars:
        if bar.index % 2 == 0:
            resting = rng.random() > density
        if resting or bar.energy < quiet:
            continue
        motif = motifs[(bar.index // 2) % 3] if rng.random() < 0.5 else _motif(rng, virtuosity)
        for start, length, leap in motif:
            if start >= bar.beats:
                continue
            moved = plan.key.step(pitch, leap)
            if start in (0, 2) or length >= 1:
                tones = bar.chord_at(start).pitch_classes
                moved = min((nearest(tone, moved) for tone in tones), key=lambda tone: abs(tone - moved))
            pitch = range_.fold(moved)
            line.add(bar.start + start, length * gate, pitch, 80 + 25 * bar.energy + (6 if start == 0 else 0))
    return tuple(line.notes)


def _motif(rng: np.random.Generator, virtuosity: float) -> tuple[tuple[float, float, int], ...]:
    pool: Sequence[Sequence[tuple[float, float]]] = _FAST if rng.random() < virtuosity else _RHYTHMS
    rhythm = pool[int(rng.integers(len(pool)))]
    return tuple(
        (float(start), float(length), int(rng.choice((-3, -2, -1, -1, 0, 1, 1, 2, 3, 4)))) for start, length in rhythm
    )


def harmony(
    notes: Sequence[Note], key: Key, steps: int, rng: np.random.Generator, share: float = 1.0
) -> tuple[Note, ...]:
    """A second voice ``steps`` degrees above (or below) a melody, slightly late, for a ``share`` of its notes."""
    return tuple(
        Note(
            max(0.0, note.start_s + float(rng.normal(0.01, 0.012))),
            note.duration_s * float(rng.uniform(0.9, 1.05)),
            key.step(note.pitch, steps) if steps else note.pitch,
            max(20, note.velocity - 15),
        )
        for note in notes
        if rng.random() < share
    )
