"""Bars, the clock that converts beats to seconds, and the lines that collect notes."""

from dataclasses import dataclass, field

import numpy as np

from training.compose.note import Note
from training.compose.theory import Chord, Key


@dataclass(frozen=True)
class Clock:
    """Converts beats to seconds.

    Attributes:
        bpm: beats per minute.
        swing: position of the offbeat within a swung pair, 0.5 (straight) to 0.67 (triplets).
        swing_unit: length of a swung pair in beats: 1 swings eighths, 0.5 swings sixteenths.
        rubato: amplitude of the sinusoidal timing deviation, in beats; its period is 16 beats.
    """

    bpm: float
    swing: float = 0.5
    swing_unit: float = 1.0
    rubato: float = 0.0

    @property
    def beat_s(self) -> float:
        """Duration of a beat in seconds."""
        return 60 / self.bpm

    def at(self, beat: float) -> float:
        """Time in seconds of a beat, counted from the start of the song."""
        whole, part = divmod(beat / self.swing_unit, 1.0)
        bent = part * 2 * self.swing if part <= 0.5 else self.swing + (part - 0.5) * 2 * (1 - self.swing)
        beats = (whole + bent) * self.swing_unit
        return float((beats + self.rubato * np.sin(np.pi * beats / 8)) * self.beat_s)


@dataclass(frozen=True)
class Bar:
    """One bar of a song: position, chords and place in the form.

    Attributes:
        index: number of the bar, from 0.
        start: first beat of the bar.
        beats: number of beats.
        chords: one chord per beat.
        section: name of the section.
        energy: 0 (sparse) to 1 (full).
        closes: whether it is the last bar of its section.
        opens: whether it is the first bar of its section.
    """

    index: int
    start: float
    beats: int
    chords: tuple[Chord, ...]
    section: str
    energy: float
    closes: bool
    opens: bool

    @property
    def chord(self) -> Chord:
        """The chord on the first beat of the bar."""
        return self.chords[0]

    def chord_at(self, beat: float) -> Chord:
        """The chord at a beat within the bar."""
        return self.chords[min(self.beats - 1, max(0, int(beat)))]


@dataclass(frozen=True)
class Plan:
    """What all parts of a song share: key, clock and bars."""

    key: Key
    clock: Clock
    bars: tuple[Bar, ...]
    duration_s: float


@dataclass
class Line:
    """A line of notes under construction; adds random timing and velocity errors to each note.

    Attributes:
        clock: the song's clock.
        rng: random generator.
        timing_s: standard deviation of the onsets.
        late_s: constant delay behind the beat.
        touch: standard deviation of the velocities.
    """

    clock: Clock
    rng: np.random.Generator
    timing_s: float = 0.006
    late_s: float = 0.0
    touch: float = 6.0
    notes: list[Note] = field(default_factory=list)

    def add(self, beat: float, beats: float, pitch: int, velocity: float, delay_s: float = 0.0) -> None:
        """Adds a note at a beat of the song; pitches outside 0 to 127 are dropped."""
        if not 0 <= pitch <= 127:
            return
        start = self.clock.at(beat)
        length = max(0.03, self.clock.at(beat + beats) - start)
        start += self.late_s + delay_s + float(self.rng.normal(0, self.timing_s))
        loudness = int(np.clip(velocity + self.rng.normal(0, self.touch), 8, 127))
        self.notes.append(Note(max(0.0, start), length, int(pitch), loudness))
