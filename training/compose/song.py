"""A song: genre, form, harmony and parts."""

from dataclasses import dataclass

import numpy as np

from training.compose import arrangement
from training.compose.genres import GENRES, GUESTS, Genre
from training.compose.note import Note
from training.compose.score import Bar, Clock, Plan
from training.compose.theory import PROGRESSIONS, Chord, Key, dominant, harmonise

DURATION_S = 30.0

_FORMS: tuple[tuple[tuple[str, int, float], ...], ...] = (
    # Section, bars, energy. A song uses as many sections as fit its length, and may start at any of them.
    (("intro", 2, 0.35), ("verse", 4, 0.6), ("chorus", 4, 0.95), ("verse", 4, 0.6), ("chorus", 8, 1.0)),
    (("verse", 4, 0.5), ("verse", 4, 0.6), ("chorus", 8, 1.0), ("break", 4, 0.25), ("chorus", 8, 1.0)),
    (("chorus", 8, 0.9), ("bridge", 4, 0.5), ("chorus", 8, 1.0), ("break", 2, 0.2), ("chorus", 8, 1.0)),
    (("intro", 4, 0.3), ("build", 4, 0.7), ("drop", 8, 1.0), ("break", 4, 0.3), ("drop", 8, 1.0)),
    (("theme", 8, 0.7), ("solo", 8, 0.85), ("theme", 8, 0.9)),
    (("chorus", 16, 0.95), ("verse", 8, 0.6)),
    (("verse", 16, 0.65), ("chorus", 8, 0.95)),
)


@dataclass(frozen=True)
class Part:
    """One part: a stem of ``stemwright.stems.STEMS``, a role, and notes."""

    stem: str
    role: str
    notes: tuple[Note, ...]


@dataclass(frozen=True)
class Song:
    """A composed song; the same seed always gives the same song."""

    seed: int
    genre: str
    plan: Plan
    parts: tuple[Part, ...]


def compose(seed: int, duration_s: float = DURATION_S) -> Song:
    """Composes the song for a seed."""
    rng = np.random.default_rng((seed, 0))
    names = list(GENRES)
    weights = np.array([GENRES[name].weight for name in names])
    name = names[int(rng.choice(len(names), p=weights / weights.sum()))]
    genre = GENRES[name]
    plan = _plan(genre, rng, duration_s)
    parts: list[Part] = []
    seats = [seat for seat in (*genre.seats, *GUESTS) if rng.random() < seat[2]] or [genre.seats[0]]
    lead = arrangement.lead(plan, rng)
    for stem, role in dict.fromkeys((stem, role) for stem, role, _ in seats):
        notes = [
            note for note in arrangement.write(plan, genre, stem, role, lead, rng) if note.start_s < duration_s - 0.05
        ]
        if notes:
            parts.append(Part(stem, role, tuple(sorted(notes, key=lambda note: (note.start_s, note.pitch)))))
    return Song(seed, name, plan, tuple(parts))


def _plan(genre: Genre, rng: np.random.Generator, duration_s: float) -> Plan:
    key = Key(int(rng.integers(12)), str(rng.choice(genre.modes)))
    bpm = float(rng.uniform(*genre.bpm))
    meter = 3 if rng.random() < genre.waltz else 4
    swings = rng.random() < genre.swing
    unit = 1.0 if bpm > 95 else 0.5
    rubato = float(rng.uniform(0, 0.15)) if not genre.drums and rng.random() < 0.5 else 0.0
    clock = Clock(bpm, float(rng.uniform(0.56, 0.67)) if swings else 0.5, unit, rubato)
    count = int(duration_s / (meter * clock.beat_s)) + 2
    form = _FORMS[rng.integers(len(_FORMS))]
    size = int(rng.choice(genre.chord_sizes))
    family = str(rng.choice(genre.progressions))
    progressions: dict[str, tuple[int, ...]] = {}
    for section, _, _ in form:
        choices = PROGRESSIONS[family]
        progressions.setdefault(section, choices[rng.integers(len(choices))])
    flat = rng.random() < 0.25  # no dynamics: all parts play throughout
    two_a_bar = rng.random() < 0.25
    leading = rng.random() < 0.6
    bars: list[Bar] = []
    offset = int(rng.integers(3)) * 2
    position = 0
    while len(bars) < count:
        section, length, energy = form[position % len(form)]
        if position == 0:
            length = max(2, length - offset)
        progression = progressions[section]
        for bar in range(length):
            degrees = [progression[bar % len(progression)]] * meter
            if two_a_bar and meter == 4 and bar % 2:
                degrees[2:] = [progression[(bar + 1) % len(progression)]] * 2
            chords = tuple(_chord(key, degree, size, family, leading) for degree in degrees)
            level = 0.9 if flat else energy
            bars.append(Bar(len(bars), len(bars) * meter, meter, chords, section, level, bar == length - 1, bar == 0))
        position += 1
    return Plan(key, clock, tuple(bars[:count]), duration_s)


def _chord(key: Key, degree: int, size: int, family: str, leading: bool) -> Chord:
    if family == "blues":
        return dominant(key.pitch(degree, 4), size)
    return harmonise(key, degree, size, leading)
