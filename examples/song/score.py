"""The score of the song: key, tempo, form, chords, melody and lyrics. Pitches are MIDI numbers, times are beats."""

from dataclasses import dataclass

from training.compose.score import Clock
from training.compose.theory import Chord, Key

TITLE = "Lanterns on the Water"
KEY = Key(2, "major")
CLOCK = Clock(bpm=112.0)
BEATS = 4
INTRO, VERSE, HALF_VERSE, CHORUS, OUTRO, LAST = 0, 4, 8, 12, 20, 22
"""First bars of the sections; in the two bars of the last chord all instruments ring out."""
BARS = 24
DURATION_S = 52.0


@dataclass(frozen=True)
class Harmony:
    """A chord and the pitch class of its bass."""

    chord: Chord
    bass: int


_MAJOR, _MINOR, _SEVENTH, _FOURTH = (0, 4, 7), (0, 3, 7), (0, 3, 7, 10), (0, 5, 7)
_CHORDS = {
    "D": Harmony(Chord(2, _MAJOR), 2),
    "A/C#": Harmony(Chord(9, _MAJOR), 1),
    "Bm": Harmony(Chord(11, _MINOR), 11),
    "G": Harmony(Chord(7, _MAJOR), 7),
    "Em7": Harmony(Chord(4, _SEVENTH), 4),
    "Asus4": Harmony(Chord(9, _FOURTH), 9),
    "A": Harmony(Chord(9, _MAJOR), 9),
    "F#m7": Harmony(Chord(6, _SEVENTH), 6),
    "Gm": Harmony(Chord(7, _MINOR), 7),
}
# Two names in a bar share it. D major; the minor chord on G near the end is borrowed from D minor.
_BARS = "D, A/C#, Bm, G,D, A/C#, Bm, G, D, A/C#, Em7, Asus4 A,G, A, F#m7, Bm, G, A, Em7, Asus4 A,G, Gm, D, D"
HARMONY: tuple[tuple[Harmony, ...], ...] = tuple(
    tuple(_CHORDS[name] for name in bar.split()) for bar in _BARS.split(",")
)
"""The chords of every bar, which share it evenly."""


def harmony(beat: float) -> Harmony:
    """The chord at a beat of the song."""
    bar = HARMONY[int(beat // BEATS)]
    return bar[int(beat % BEATS * len(bar) / BEATS)]


@dataclass(frozen=True)
class Sung:
    """A note of the melody, from the start of its line. ``carries``: it carries on the syllable before."""

    beat: float
    beats: float
    pitch: int
    carries: bool = False


@dataclass(frozen=True)
class Line:
    """A line of the song: its first beat, its words, and a note for every syllable."""

    start: int
    words: str
    notes: tuple[Sung, ...]


def _line(bar: int, words: str, *notes: tuple[float, float, int], carries: int = 0) -> Line:
    """The last ``carries`` notes carry on the last syllable."""
    sung = [Sung(*note, carries=index >= len(notes) - carries) for index, note in enumerate(notes)]
    return Line(bar * BEATS, words, tuple(sung))


# fmt: off
A3, B3, Cs4, D4, E4, Fs4, G4, A4, Bb4, B4, Cs5, D5, E5 = 57, 59, 61, 62, 64, 66, 67, 69, 70, 71, 73, 74, 76

MELODY = (
    _line(
        VERSE, "evening comes across the river",
        (0, 1, Fs4), (1, 0.5, E4), (1.5, 1, D4), (2.5, 0.5, D4), (3, 1, E4), (4, 0.5, E4), (4.5, 1, A4), (5.5, 1.5, E4),
    ),
    _line(
        VERSE + 2, "all the boats are tied and still",
        (0, 1, D4), (1, 0.5, D4), (1.5, 1, Fs4), (2.5, 0.5, E4), (3, 1.5, D4), (4.5, 0.5, B3), (5, 2, D4),
    ),
    _line(
        VERSE + 4, "someone sings behind a window",
        (0, 1, Fs4), (1, 0.5, Fs4), (1.5, 1, A4), (2.5, 0.5, G4), (3, 1, Fs4), (4, 0.5, E4), (4.5, 1, B4), (5.5, 1.5, A4),
    ),
    _line(
        VERSE + 6, "and the moon climbs up the hill",
        (0, 0.5, G4), (0.5, 0.5, A4), (1, 1.5, B4), (2.5, 1, A4), (3.5, 0.5, G4), (4, 0.5, Fs4), (4.5, 2, E4),
    ),
    _line(
        CHORUS, "lanterns on the water",
        (0, 1, B4), (1, 0.5, A4), (1.5, 0.5, B4), (2, 0.5, D5), (2.5, 1.5, D5), (4, 2.5, Cs5),
    ),
    _line(
        CHORUS + 2, "one by one by one",
        (0, 1, Cs5), (1, 0.5, B4), (1.5, 1, A4), (2.5, 0.5, G4), (3, 3.5, Fs4),
    ),
    _line(
        CHORUS + 4, "carry us till morning",
        (0, 1, B4), (1, 0.5, A4), (1.5, 0.5, B4), (2, 0.5, D5), (2.5, 1.5, E5), (4, 2.5, Cs5),
    ),
    _line(
        CHORUS + 6, "carry us home",
        (0, 1, E5), (1, 0.5, D5), (1.5, 2, B4), (4, 2, D5), (6, 1.75, Cs5), carries=1,
    ),
    _line(
        OUTRO, "one by one by one",
        (0, 1, B4), (1, 0.5, A4), (1.5, 2, G4), (3.5, 0.5, A4), (4, 4, Bb4), (8, 4.5, A4), carries=1,
    ),
)
# fmt: on
"""The lyrics are our own."""

# Thirds and fourths under the lead, a voice that moves little, and one below it: chord tones on every long note.
HARMONIES: dict[int, tuple[tuple[int, ...], ...]] = {
    CHORUS * BEATS: ((G4, Fs4, G4, B4, B4, A4), (D4, D4, D4, G4, G4, E4)),
    (CHORUS + 2) * BEATS: ((A4, G4, Fs4, E4, D4), (E4, D4, Cs4, Cs4, B3)),
    (CHORUS + 4) * BEATS: ((G4, Fs4, G4, B4, B4, A4), (D4, D4, D4, G4, G4, E4)),
    (CHORUS + 6) * BEATS: ((B4, B4, G4, A4, A4), (G4, G4, E4, E4, E4)),
    OUTRO * BEATS: ((G4, Fs4, D4, Fs4, G4, Fs4), (D4, D4, B3, D4, D4, D4)),
}
"""Backing voices for the lines that start on these beats: a pitch for each of their notes."""

OOHS = tuple(
    (float(beat), beats, pitches)
    for beat, beats, pitches in (
        ((VERSE + 4) * BEATS, 4, (A4, Fs4, D4)),
        ((VERSE + 5) * BEATS, 4, (A4, E4, Cs4)),
        ((VERSE + 6) * BEATS, 4, (B4, G4, E4)),
        ((VERSE + 7) * BEATS, 2, (A4, E4, D4)),
        ((VERSE + 7) * BEATS + 2, 1.75, (A4, E4, Cs4)),
    )
)
"""The backing voices' chords behind the second half of the verse: beat, beats, pitches from the top."""

# fmt: off
COUNTERMELODY = (
    # The flute answers where the voice breathes; in the intro it has the hook.
    *((beat, beats, pitch + 12) for beat, beats, pitch in (
        (0, 1, Fs4), (1, 0.5, E4), (1.5, 0.5, Fs4), (2, 0.5, A4), (2.5, 1.5, A4), (4, 2.5, E4), (6.5, 0.5, A4), (7, 1, G4),
        (8, 1, Fs4), (9, 0.5, E4), (9.5, 1, D4), (10.5, 0.5, E4), (11, 2, B3), (13, 1, D4), (14, 1.5, G4),
        (23, 0.5, A4), (23.5, 0.5, G4), (31, 0.5, D4), (31.5, 0.5, G4), (32, 1, A4),
        (39, 0.5, Cs5), (39.5, 0.5, A4), (40, 1.5, G4),
        (54.5, 0.5, Fs4), (55, 1, E4), (62.5, 0.5, Fs4), (63, 0.5, G4), (63.5, 0.5, A4), (64, 2, B4),
        (70.5, 0.5, E4), (71, 0.5, Fs4), (71.5, 0.5, A4), (72, 2.5, G4),
        (86.5, 0.5, D4), (87, 0.5, E4), (87.5, 0.5, G4), (88, 1.5, Fs4), (89.5, 0.5, E4), (90, 4, D4),
    )),
)
# fmt: on
"""The flute: beat, beats, pitch."""
