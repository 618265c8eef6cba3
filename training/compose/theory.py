"""Keys, modes, chords and voice leading."""

from collections.abc import Sequence
from dataclasses import dataclass

MODES: dict[str, tuple[int, ...]] = {
    "major": (0, 2, 4, 5, 7, 9, 11),
    "minor": (0, 2, 3, 5, 7, 8, 10),
    "dorian": (0, 2, 3, 5, 7, 9, 10),
    "mixolydian": (0, 2, 4, 5, 7, 9, 10),
    "phrygian": (0, 1, 3, 5, 7, 8, 10),
    "lydian": (0, 2, 4, 6, 7, 9, 11),
}

PROGRESSIONS: dict[str, tuple[tuple[int, ...], ...]] = {
    "pop": (
        (0, 4, 5, 3),
        (0, 5, 3, 4),
        (5, 3, 0, 4),
        (0, 3, 4, 4),
        (0, 2, 3, 4),
        (3, 0, 4, 5),
        (0, 0, 3, 4),
        (1, 4, 0, 0),
        (0, 3, 0, 4),
        (0, 5, 1, 4),
    ),
    "modal": (
        (0, 6, 5, 6),
        (0, 5, 2, 6),
        (0, 3, 0, 6),
        (0, 0, 5, 6),
        (0, 2, 6, 3),
        (0, 5, 6, 0),
        (0, 0, 0, 0),
        (0, 6, 0, 6),
    ),
    "jazz": (
        (1, 4, 0, 5),
        (0, 5, 1, 4),
        (2, 5, 1, 4),
        (0, 3, 2, 5, 1, 4, 0, 0),
        (1, 4, 0, 0),
        (5, 1, 4, 0),
        (3, 6, 2, 5, 1, 4, 0, 0),
    ),
    "blues": ((0, 0, 0, 0, 3, 3, 0, 0, 4, 3, 0, 4), (0, 3, 0, 0, 3, 3, 0, 0, 1, 4, 0, 4)),
    "latin": ((0, 3, 4, 3), (0, 4, 4, 0), (1, 4, 0, 5), (0, 3, 4, 0), (5, 1, 4, 0)),
    "classical": (
        (0, 3, 4, 0),
        (0, 4, 5, 2, 3, 0, 3, 4),
        (0, 5, 3, 4),
        (0, 1, 4, 0, 5, 3, 4, 0),
        (0, 4, 0, 3, 1, 4, 0, 0),
        (5, 3, 0, 4, 5, 1, 4, 5),
    ),
}
"""Scale degrees of the chords, one bar each."""


@dataclass(frozen=True)
class Key:
    """A tonic (pitch class, 0 is C) and a mode, one of ``MODES``."""

    tonic: int
    mode: str

    @property
    def scale(self) -> tuple[int, ...]:
        """The seven scale degrees, in semitones above the tonic."""
        return MODES[self.mode]

    def pitch(self, degree: int, octave: int) -> int:
        """MIDI pitch of a scale degree; degrees below 0 or above 6 are in a lower or higher octave."""
        return 12 * (octave + 1) + self.tonic + self.scale[degree % 7] + 12 * (degree // 7)

    def snap(self, pitch: int) -> int:
        """The nearest pitch of the scale; of two at the same distance, the lower one."""
        for distance in (0, -1, 1, -2, 2):
            if (pitch + distance - self.tonic) % 12 in self.scale:
                return pitch + distance
        return pitch

    def step(self, pitch: int, steps: int) -> int:
        """The pitch ``steps`` scale degrees away from ``pitch``."""
        here = self.snap(pitch)
        degree = self.scale.index((here - self.tonic) % 12)
        octave = (here - self.tonic) // 12
        target = degree + steps
        return self.tonic + 12 * (octave + target // 7) + self.scale[target % 7]


@dataclass(frozen=True)
class Chord:
    """A root (pitch class) and the chord tones in semitones above it, the root first."""

    root: int
    intervals: tuple[int, ...]

    @property
    def pitch_classes(self) -> tuple[int, ...]:
        """Pitch classes of the chord tones."""
        return tuple((self.root + interval) % 12 for interval in self.intervals)

    @property
    def fifth(self) -> int:
        """The interval from the root to the fifth, in semitones (6, 7 or 8)."""
        return self.intervals[2] if 6 <= self.intervals[2] <= 8 else 7


def harmonise(key: Key, degree: int, size: int = 3, leading_tone: bool = False) -> Chord:
    """A chord of ``size`` notes in thirds on a scale degree; ``leading_tone`` makes the fifth degree's chord major."""
    root = key.pitch(degree, 4)
    intervals = [key.pitch(degree + 2 * third, 4) - root for third in range(size)]
    if leading_tone and degree % 7 == 4 and intervals[1] == 3:
        intervals[1] = 4
    return Chord(root % 12, tuple(intervals))


def dominant(root: int, size: int = 4) -> Chord:
    """A dominant seventh (or ninth) chord on a pitch class, as in the blues."""
    return Chord(root % 12, (0, 4, 7, 10, 14)[:size])


def voice(chord: Chord, count: int, centre: int, previous: Sequence[int] = ()) -> tuple[int, ...]:
    """Chooses ``count`` pitches of a chord near ``centre``, with the smallest movement from ``previous``.

    The candidates are the close positions of all inversions. The cost is the total movement of the voices plus the
    distance from the middle of the chord to ``centre``.
    """
    classes = sorted(set(chord.pitch_classes))
    best: tuple[int, ...] = ()
    best_cost = float("inf")
    for lowest in range(centre - 14, centre + 6):
        if lowest % 12 not in classes:
            continue
        pitches = [lowest]
        while len(pitches) < count:
            candidate = pitches[-1] + 1
            while candidate % 12 not in classes:
                candidate += 1
            pitches.append(candidate)
        cost = 0.7 * abs(sum(pitches) / count - centre)
        if len(previous) == count:
            cost += sum(abs(new - old) for new, old in zip(pitches, previous, strict=True)) / count
        if cost < best_cost:
            best, best_cost = tuple(pitches), cost
    return best


def nearest(pitch_class: int, pitch: int) -> int:
    """The pitch of a pitch class that is nearest to ``pitch``."""
    return pitch + (pitch_class - pitch + 6) % 12 - 6


STANDARD_TUNING = (40, 45, 50, 55, 59, 64)
"""Open strings of a guitar, as MIDI pitches."""


def finger(chord: Chord, position: int) -> tuple[int, ...]:
    """Guitar voicing at a fret (0 is open strings): the root at the bottom, a chord tone on every higher string.

    Gives three to six pitches in an open voicing, as on a fretboard; ``voice`` gives close voicings.
    """
    grip: list[int] = []
    for string in STANDARD_TUNING:
        wanted = (chord.root,) if not grip else chord.pitch_classes
        frets = [fret for fret in range(position, position + 5) if (string + fret) % 12 in wanted]
        if not grip and len(STANDARD_TUNING) - STANDARD_TUNING.index(string) <= 3:
            frets = frets or [position + (chord.root - string - position) % 12]
        if frets:
            grip.append(string + frets[0])
    return tuple(sorted(set(grip)))
