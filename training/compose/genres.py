"""Genres: tempo, harmony, grooves and instrumentation, with the probability and the role of each instrument.

The genres are defined in ``genres.toml`` in this folder.
"""

import tomllib
from dataclasses import dataclass
from pathlib import Path

Seat = tuple[str, str, float]
"""An instrument of a band: stem, role (see ``song.py``), and the probability that it plays."""


@dataclass(frozen=True)
class Genre:
    """What the songs of a genre have in common.

    Attributes:
        weight: relative frequency of the genre.
        bpm: slowest and fastest tempo.
        modes: modes of ``theory.MODES``.
        progressions: groups of chord progressions in ``theory.PROGRESSIONS``.
        chord_sizes: notes per chord (3 for triads, 4 for sevenths, 5 for ninths).
        seats: the instruments of the band.
        drums: styles of ``grooves.GROOVES``; empty if the genre has no drum kit.
        bass: styles of ``basslines.bass``, for electric bass and double bass.
        percussion: names in ``grooves.PERCUSSION`` that are typical of the genre; empty for any.
        swing: share of songs that swing.
        waltz: share of songs in 3/4 time.
    """

    weight: float
    bpm: tuple[float, float]
    modes: tuple[str, ...]
    progressions: tuple[str, ...]
    chord_sizes: tuple[int, ...]
    seats: tuple[Seat, ...]
    drums: tuple[str, ...] = ()
    bass: tuple[str, ...] = ()
    percussion: tuple[str, ...] = ()
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
            percussion=tuple(table.get("percussion", ())),
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
"""Instruments that may be added to any genre, so that rare classes occur in all genres."""
