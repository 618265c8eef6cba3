"""Genres: tempo, harmony, grooves, and which instruments play together, how often and in which role.

The genres themselves stand in ``genres.toml`` beside this module.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

Seat = tuple[str, str, float]
"""A chair in the band: stem, role (of ``song.py``), and how often it is taken."""


@dataclass(frozen=True)
class Genre:
    """What songs of one kind have in common.

    Attributes:
        weight: how frequent the genre is among songs.
        bpm: slowest and fastest tempo.
        modes: modes of ``theory.MODES``.
        progressions: families of ``theory.PROGRESSIONS``.
        chord_sizes: tones a chord (3 triads, 4 sevenths, 5 ninths).
        seats: the band.
        drums: styles of ``grooves.GROOVES``; empty for none of its own.
        bass: styles of ``basslines.bass``, for an electric or an upright one.
        hands: percussion of ``grooves.PERCUSSION`` that belongs to it; empty for any.
        swing: share of songs that swing.
        waltz: share of songs in three-four time.
    """

    weight: float
    bpm: tuple[float, float]
    modes: tuple[str, ...]
    progressions: tuple[str, ...]
    chord_sizes: tuple[int, ...]
    seats: tuple[Seat, ...]
    drums: tuple[str, ...] = ()
    bass: tuple[str, ...] = ()
    hands: tuple[str, ...] = ()
    swing: float = 0.0
    waltz: float = 0.0


def _read(path: Path) -> dict[str, Genre]:
    genres = {}
    for name, table in tomllib.loads(path.read_text()).items():
        seats = tuple((stem, role, share) for stem, roles in table["seats"].items() for role, share in roles.items())
        genres[name] = Genre(
            weight=table["weight"],
            bpm=(table["bpm"][0], table["bpm"][1]),
            modes=tuple(table["modes"]),
            progressions=tuple(table["progressions"]),
            chord_sizes=tuple(table["chord_sizes"]),
            seats=seats,
            drums=tuple(table.get("drums", ())),
            bass=tuple(table.get("bass", ())),
            hands=tuple(table.get("hands", ())),
            swing=table.get("swing", 0.0),
            waltz=table.get("waltz", 0.0),
        )
    return genres


GENRES = _read(Path(__file__).with_name("genres.toml"))
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
    ("fx", "ambience", 0.07),
    ("fx", "drone", 0.04),
    ("backing_vocals", "oohs", 0.06),
)
"""Seats that any genre may take: the rare classes must be met everywhere."""
