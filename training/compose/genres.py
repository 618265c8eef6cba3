"""Genres: tempo, harmony, grooves, and which instruments play together, how often and in which role."""

from dataclasses import dataclass

Seat = tuple[str, str, float]
"""A chair in the band: stem, role (of ``song.py``), and how often it is taken."""


@dataclass(frozen=True)
class Genre:
    """What songs of one kind have in common.

    Attributes:
        bpm: slowest and fastest tempo.
        modes: modes of ``theory.MODES``.
        progressions: families of ``theory.PROGRESSIONS``.
        chord_sizes: tones a chord (3 triads, 4 sevenths, 5 ninths).
        drums: styles of ``grooves.GROOVES``; empty for none.
        bass: styles of ``accompaniment.bass``.
        hands: percussion of ``grooves.PERCUSSION`` that belongs to it.
        seats: the band.
        swing: share of songs that swing.
        waltz: share of songs in three-four time.
        weight: how many of a hundred songs, roughly.
    """

    bpm: tuple[float, float]
    modes: tuple[str, ...]
    progressions: tuple[str, ...]
    chord_sizes: tuple[int, ...]
    drums: tuple[str, ...]
    bass: tuple[str, ...]
    hands: tuple[str, ...]
    seats: tuple[Seat, ...]
    swing: float = 0.0
    waltz: float = 0.0
    weight: float = 5.0


SHAKEN = ("shaker", "tambourine", "cabasa", "claps")
LATIN = ("congas", "bongos", "clave", "cowbell", "timbales", "guiro", "cabasa", "agogo", "blocks", "surdo", "shaker")

GENRES: dict[str, Genre] = {
    "rock": Genre(
        (88, 165), ("major", "minor", "mixolydian"), ("pop", "modal"), (3,), ("rock", "pop"), ("roots", "groove", "driving"), SHAKEN,
        (
            ("drums", "kit", 0.97), ("bass", "line", 0.95), ("guitar", "power", 0.75), ("guitar", "riff", 0.4), ("guitar", "clean_arp", 0.35),
            ("guitar", "lead", 0.35), ("guitar", "strum", 0.3), ("keyboard", "organ", 0.3), ("keyboard", "chords", 0.25), ("vocals", "lead", 0.8),
            ("backing_vocals", "harmony", 0.45), ("percussion", "hand", 0.25), ("strings", "pad", 0.1), ("brass", "stabs", 0.1),
            ("woodwinds", "solo", 0.06), ("synth", "pad", 0.12), ("fx", "swell", 0.15),
        ), swing=0.1, waltz=0.04, weight=12,
    ),
    "metal": Genre(
        (90, 190), ("minor", "phrygian"), ("modal",), (3,), ("metal", "rock"), ("driving", "roots"), (),
        (
            ("drums", "kit", 1.0), ("bass", "line", 0.95), ("guitar", "power", 1.0), ("guitar", "riff", 0.7), ("guitar", "lead", 0.4),
            ("vocals", "lead", 0.5), ("strings", "pad", 0.12), ("synth", "pad", 0.12), ("backing_vocals", "choir", 0.15), ("fx", "swell", 0.25),
        ), weight=4,
    ),
    "pop": Genre(
        (80, 130), ("major", "minor"), ("pop", "modal"), (3, 3, 4), ("pop", "four", "trap"), ("roots", "groove", "long", "offbeat"), SHAKEN,
        (
            ("drums", "kit", 0.9), ("bass", "line", 0.9), ("keyboard", "chords", 0.5), ("keyboard", "arpeggio", 0.25), ("guitar", "funk", 0.3),
            ("guitar", "strum", 0.35), ("guitar", "clean_arp", 0.3), ("synth", "pad", 0.5), ("synth", "arp", 0.35), ("synth", "lead", 0.25),
            ("synth", "stabs", 0.25), ("strings", "pad", 0.25), ("strings", "counter", 0.15), ("brass", "stabs", 0.15), ("percussion", "hand", 0.35),
            ("percussion", "mallets", 0.12), ("vocals", "lead", 0.9), ("backing_vocals", "harmony", 0.5), ("backing_vocals", "oohs", 0.3),
            ("woodwinds", "solo", 0.06), ("fx", "riser", 0.4), ("fx", "impact", 0.3),
        ), swing=0.08, weight=12,
    ),
    "ballad": Genre(
        (56, 84), ("major", "minor"), ("pop", "classical"), (3, 4), ("ballad", "ballad", "pop"), ("long", "roots"), ("shaker", "tambourine"),
        (
            ("drums", "kit", 0.5), ("bass", "line", 0.6), ("keyboard", "ballad", 0.75), ("guitar", "fingerpick", 0.45), ("guitar", "strum", 0.25),
            ("strings", "pad", 0.5), ("strings", "counter", 0.3), ("vocals", "lead", 0.92), ("backing_vocals", "oohs", 0.35), ("backing_vocals", "harmony", 0.25),
            ("woodwinds", "solo", 0.25), ("synth", "pad", 0.3), ("percussion", "hand", 0.15), ("brass", "pad", 0.12), ("guitar", "lead", 0.2),
        ), waltz=0.15, weight=8,
    ),
    "folk": Genre(
        (70, 130), ("major", "mixolydian", "dorian"), ("pop", "classical"), (3,), ("ballad", "pop"), ("roots", "long"), ("shaker", "tambourine", "claps", "bongos"),
        (
            ("guitar", "strum", 0.7), ("guitar", "fingerpick", 0.6), ("vocals", "lead", 0.9), ("backing_vocals", "harmony", 0.4), ("bass", "line", 0.4),
            ("drums", "kit", 0.2), ("percussion", "hand", 0.35), ("strings", "melody", 0.25), ("woodwinds", "melody", 0.3), ("keyboard", "ballad", 0.2),
            ("keyboard", "accordion", 0.15), ("guitar", "lead", 0.15),
        ), waltz=0.2, weight=8,
    ),
    "electronic": Genre(
        (116, 140), ("minor", "minor", "dorian", "major"), ("modal", "pop"), (3, 4), ("four", "four", "break"), ("offbeat", "driving", "groove", "long"), ("shaker", "claps", "congas", "cowbell"),
        (
            ("drums", "kit", 0.95), ("bass", "line", 0.9), ("synth", "pad", 0.6), ("synth", "arp", 0.6), ("synth", "lead", 0.5), ("synth", "stabs", 0.45),
            ("keyboard", "offbeat", 0.2), ("percussion", "hand", 0.4), ("fx", "riser", 0.65), ("fx", "impact", 0.5), ("fx", "texture", 0.3),
            ("vocals", "lead", 0.35), ("backing_vocals", "oohs", 0.2), ("strings", "pad", 0.1), ("guitar", "funk", 0.12),
        ), weight=10,
    ),
    "drum and bass": Genre(
        (160, 178), ("minor", "dorian"), ("modal",), (3, 4, 5), ("break",), ("long", "groove"), ("shaker", "congas"),
        (
            ("drums", "kit", 1.0), ("bass", "line", 1.0), ("synth", "pad", 0.7), ("synth", "arp", 0.4), ("synth", "lead", 0.35), ("keyboard", "chords", 0.3),
            ("fx", "riser", 0.6), ("fx", "texture", 0.5), ("vocals", "lead", 0.3), ("strings", "pad", 0.2), ("percussion", "hand", 0.25),
        ), weight=4,
    ),
    "hip-hop": Genre(
        (70, 100), ("minor", "dorian", "phrygian"), ("modal", "jazz"), (3, 4, 5), ("trap", "break"), ("trap", "long", "groove"), ("shaker", "claps", "congas"),
        (
            ("drums", "kit", 1.0), ("bass", "line", 0.95), ("keyboard", "chords", 0.45), ("keyboard", "arpeggio", 0.2), ("synth", "lead", 0.35), ("synth", "pad", 0.35),
            ("synth", "arp", 0.2), ("strings", "ostinato", 0.2), ("brass", "stabs", 0.25), ("woodwinds", "riff", 0.2), ("guitar", "clean_arp", 0.25),
            ("vocals", "lead", 0.7), ("backing_vocals", "doubles", 0.4), ("fx", "texture", 0.4), ("fx", "impact", 0.3), ("percussion", "hand", 0.3), ("percussion", "mallets", 0.15),
        ), swing=0.3, weight=7,
    ),
    "funk": Genre(
        (92, 122), ("dorian", "mixolydian", "minor"), ("modal", "jazz"), (4, 5), ("funk",), ("groove",), ("congas", "tambourine", "cowbell", "shaker", "cabasa"),
        (
            ("drums", "kit", 1.0), ("bass", "line", 1.0), ("guitar", "funk", 0.85), ("keyboard", "comp", 0.6), ("keyboard", "organ", 0.25), ("brass", "stabs", 0.6),
            ("woodwinds", "stabs", 0.3), ("woodwinds", "solo", 0.2), ("percussion", "hand", 0.5), ("synth", "lead", 0.2), ("vocals", "lead", 0.6),
            ("backing_vocals", "harmony", 0.4), ("strings", "counter", 0.15),
        ), swing=0.3, weight=5,
    ),
    "jazz": Genre(
        (80, 200), ("major", "minor", "dorian"), ("jazz",), (4, 5), ("jazz",), ("walking",), ("congas", "shaker"),
        (
            ("drums", "kit", 0.8), ("bass", "line", 0.95), ("keyboard", "comp", 0.75), ("guitar", "comp", 0.35), ("woodwinds", "solo", 0.5), ("brass", "solo", 0.45),
            ("vocals", "lead", 0.3), ("percussion", "mallets", 0.2), ("guitar", "lead", 0.2), ("strings", "pad", 0.08),
        ), swing=0.85, waltz=0.12, weight=6,
    ),
    "big band": Genre(
        (100, 190), ("major", "mixolydian", "dorian"), ("jazz", "blues"), (4,), ("jazz", "shuffle"), ("walking",), (),
        (
            ("drums", "kit", 1.0), ("bass", "line", 1.0), ("keyboard", "comp", 0.6), ("guitar", "comp", 0.4), ("brass", "stabs", 0.9), ("brass", "pad", 0.35),
            ("woodwinds", "stabs", 0.5), ("woodwinds", "pad", 0.4), ("woodwinds", "solo", 0.4), ("brass", "solo", 0.4), ("vocals", "lead", 0.4),
        ), swing=0.9, weight=5,
    ),
    "latin": Genre(
        (84, 128), ("minor", "major", "dorian"), ("latin",), (3, 4), ("latin",), ("tumbao",), LATIN,
        (
            ("drums", "kit", 0.35), ("bass", "line", 0.95), ("keyboard", "montuno", 0.8), ("percussion", "hand", 1.0), ("brass", "stabs", 0.65), ("brass", "melody", 0.3),
            ("woodwinds", "solo", 0.3), ("guitar", "strum", 0.3), ("vocals", "lead", 0.65), ("backing_vocals", "harmony", 0.5), ("percussion", "mallets", 0.12),
        ), weight=8,
    ),
    "bossa": Genre(
        (60, 92), ("major", "minor"), ("jazz",), (4, 5), ("latin", "ballad"), ("tumbao", "long"), ("shaker", "clave", "cabasa", "triangle", "surdo"),
        (
            ("guitar", "comp", 0.9), ("bass", "line", 0.85), ("percussion", "hand", 0.7), ("drums", "kit", 0.35), ("keyboard", "comp", 0.4), ("woodwinds", "solo", 0.5),
            ("vocals", "lead", 0.6), ("strings", "pad", 0.2), ("brass", "solo", 0.15), ("percussion", "mallets", 0.15),
        ), weight=4,
    ),
    "reggae": Genre(
        (66, 92), ("minor", "major", "mixolydian"), ("pop", "modal"), (3,), ("reggae",), ("reggae",), ("congas", "bongos", "shaker", "tambourine"),
        (
            ("drums", "kit", 1.0), ("bass", "line", 1.0), ("guitar", "offbeat", 0.85), ("keyboard", "organ_bubble", 0.6), ("keyboard", "offbeat", 0.4), ("brass", "stabs", 0.35),
            ("brass", "melody", 0.2), ("percussion", "hand", 0.5), ("vocals", "lead", 0.75), ("backing_vocals", "harmony", 0.4), ("synth", "lead", 0.12), ("fx", "echo", 0.2),
        ), swing=0.3, weight=4,
    ),
    "country": Genre(
        (84, 140), ("major", "mixolydian"), ("pop",), (3,), ("pop", "rock"), ("roots",), ("tambourine", "shaker"),
        (
            ("drums", "kit", 0.8), ("bass", "line", 0.9), ("guitar", "strum", 0.85), ("guitar", "lead", 0.4), ("guitar", "clean_arp", 0.4), ("guitar", "fingerpick", 0.3),
            ("strings", "melody", 0.4), ("keyboard", "chords", 0.3), ("woodwinds", "melody", 0.08), ("vocals", "lead", 0.85), ("backing_vocals", "harmony", 0.5),
        ), swing=0.2, waltz=0.12, weight=5,
    ),
    "blues": Genre(
        (64, 130), ("mixolydian",), ("blues",), (4,), ("shuffle", "rock"), ("walking", "roots"), ("tambourine",),
        (
            ("drums", "kit", 0.9), ("bass", "line", 0.95), ("guitar", "comp", 0.6), ("guitar", "lead", 0.6), ("keyboard", "stride", 0.4), ("keyboard", "organ", 0.4),
            ("woodwinds", "solo", 0.3), ("brass", "stabs", 0.25), ("vocals", "lead", 0.7), ("backing_vocals", "oohs", 0.15),
        ), swing=0.75, weight=5,
    ),
    "orchestra": Genre(
        (60, 140), ("major", "minor", "dorian", "lydian"), ("classical",), (3,), ("march",), ("long",), ("triangle", "tambourine"),
        (
            ("strings", "pad", 0.8), ("strings", "melody", 0.6), ("strings", "ostinato", 0.5), ("strings", "pizzicato", 0.25), ("strings", "harp", 0.3),
            ("woodwinds", "melody", 0.65), ("woodwinds", "counter", 0.35), ("woodwinds", "pad", 0.35), ("woodwinds", "runs", 0.25), ("brass", "pad", 0.5),
            ("brass", "melody", 0.4), ("brass", "stabs", 0.25), ("percussion", "timpani", 0.55), ("percussion", "mallets", 0.3), ("percussion", "hand", 0.1),
            ("drums", "kit", 0.1), ("keyboard", "arpeggio", 0.15), ("backing_vocals", "choir", 0.12),
        ), waltz=0.3, weight=10,
    ),
    "cinematic": Genre(
        (70, 130), ("minor", "phrygian", "dorian"), ("modal",), (3,), ("march", "rock"), ("long", "driving"), ("surdo", "shaker"),
        (
            ("strings", "ostinato", 0.8), ("strings", "pad", 0.7), ("brass", "pad", 0.7), ("brass", "stabs", 0.4), ("brass", "melody", 0.4), ("percussion", "timpani", 0.7),
            ("percussion", "hand", 0.4), ("backing_vocals", "choir", 0.45), ("synth", "pad", 0.5), ("synth", "arp", 0.3), ("fx", "riser", 0.6), ("fx", "impact", 0.6),
            ("fx", "drone", 0.5), ("keyboard", "arpeggio", 0.3), ("woodwinds", "melody", 0.2), ("drums", "kit", 0.25), ("guitar", "power", 0.12), ("vocals", "lead", 0.1), ("bass", "line", 0.3),
        ), weight=7,
    ),
    "chamber": Genre(
        (60, 130), ("major", "minor", "dorian"), ("classical",), (3, 4), (), (), (),
        (
            ("strings", "melody", 0.6), ("strings", "counter", 0.5), ("strings", "pad", 0.4), ("strings", "pizzicato", 0.3), ("woodwinds", "melody", 0.5),
            ("woodwinds", "counter", 0.4), ("brass", "melody", 0.25), ("brass", "pad", 0.25), ("keyboard", "broken", 0.45), ("guitar", "fingerpick", 0.25), ("strings", "harp", 0.2),
            ("percussion", "mallets", 0.1), ("vocals", "lead", 0.15),
        ), waltz=0.3, weight=6,
    ),
    "choir": Genre(
        (56, 100), ("major", "minor", "dorian"), ("classical",), (3,), (), ("long",), (),
        (
            ("backing_vocals", "choir", 1.0), ("vocals", "lead", 0.45), ("keyboard", "organ", 0.4), ("keyboard", "ballad", 0.25), ("strings", "pad", 0.3), ("brass", "pad", 0.15),
            ("percussion", "timpani", 0.15), ("percussion", "hand", 0.1),
        ), waltz=0.2, weight=3,
    ),
    "ambient": Genre(
        (56, 90), ("major", "lydian", "dorian", "minor"), ("modal", "pop"), (4, 5), ("ballad", "trap"), ("long",), ("shaker",),
        (
            ("synth", "pad", 0.9), ("synth", "arp", 0.4), ("fx", "drone", 0.6), ("fx", "texture", 0.6), ("keyboard", "arpeggio", 0.4), ("guitar", "clean_arp", 0.35),
            ("strings", "pad", 0.3), ("woodwinds", "solo", 0.2), ("backing_vocals", "oohs", 0.25), ("bass", "line", 0.35), ("percussion", "mallets", 0.25), ("drums", "kit", 0.15), ("vocals", "lead", 0.15),
        ), weight=5,
    ),
    "world": Genre(
        (80, 140), ("dorian", "phrygian", "mixolydian", "minor"), ("modal",), (3,), ("latin",), ("groove", "roots"), (*LATIN, "tambourine", "triangle"),
        (
            ("percussion", "hand", 1.0), ("percussion", "mallets", 0.35), ("woodwinds", "melody", 0.6), ("strings", "plucked", 0.4), ("guitar", "fingerpick", 0.4), ("bass", "line", 0.5),
            ("vocals", "lead", 0.4), ("backing_vocals", "harmony", 0.3), ("keyboard", "accordion", 0.25), ("drums", "kit", 0.2), ("strings", "melody", 0.3),
        ), waltz=0.1, weight=6,
    ),
    "solo": Genre(
        (60, 140), ("major", "minor", "dorian", "mixolydian"), ("pop", "jazz", "classical"), (3, 4), (), (), (),
        (
            ("keyboard", "broken", 0.45), ("keyboard", "ballad", 0.3), ("guitar", "fingerpick", 0.4), ("guitar", "strum", 0.2), ("vocals", "lead", 0.45), ("keyboard", "stride", 0.15),
        ), waltz=0.2, weight=4,
    ),
}  # fmt: skip
"""All genres by name."""

GUESTS: tuple[Seat, ...] = (
    ("strings", "melody", 0.04),
    ("strings", "pad", 0.07),
    ("brass", "melody", 0.06),
    ("brass", "stabs", 0.06),
    ("woodwinds", "melody", 0.06),
    ("woodwinds", "solo", 0.05),
    ("percussion", "hand", 0.08),
    ("percussion", "mallets", 0.05),
    ("synth", "lead", 0.06),
    ("synth", "arp", 0.05),
    ("fx", "riser", 0.07),
    ("fx", "texture", 0.07),
    ("fx", "drone", 0.04),
    ("backing_vocals", "oohs", 0.06),
)
"""Seats that any genre may take: the rare classes must be met everywhere."""
