"""What is compared with what: true stems on one side, sums of estimates on the other."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from stemwright.stems import SINGING, STEMS

UNLABELLED = "unlabelled"
"""The name of a file that holds the rest of a song whose parts are not all known."""

ESTIMATES = (*STEMS, "instrumental", "residual")
"""The names that an estimate may have."""

ROWS = (*STEMS, "singing", "instrumental", UNLABELLED)
"""The names of comparisons, in the order of every table."""


@dataclass(frozen=True)
class Comparison:
    """One row: the sum of the true stems ``references`` against the sum of the estimates ``estimates``."""

    name: str
    references: tuple[str, ...]
    estimates: tuple[str, ...]


def comparisons(references: Collection[str], estimates: Collection[str]) -> tuple[Comparison, ...]:
    """The rows that a song with these true stems allows, given estimates of these names.

    A stem is compared with the estimate of its name. ``singing`` and ``instrumental`` compare all vocal stems and all
    others, in songs that have both. ``unlabelled`` is compared with the sum of the estimates that no other file of the
    song names. Without an estimate of ``backing_vocals``, that of ``vocals`` stands for all singing.
    """
    true = [name for name in (*STEMS, UNLABELLED) if name in references]
    given = [name for name in ESTIMATES if name in estimates]
    rows = [
        Comparison(name, (name,), (name,)) for name in true if name in given and not _is_all_singing(name, true, given)
    ]
    # Only estimates that add up to the song say what its rest is.
    complete = "instrumental" in given or "residual" in given or set(STEMS) <= set(given)
    sung = tuple(name for name in true if name in SINGING)
    played = tuple(name for name in true if name not in SINGING)
    if sung and played and "vocals" in given:
        rows.append(Comparison("singing", sung, tuple(name for name in given if name in SINGING)))
        if complete:
            rows.append(Comparison("instrumental", played, tuple(name for name in given if name not in SINGING)))
    if UNLABELLED in true and complete and "instrumental" not in given:
        rows.append(Comparison(UNLABELLED, (UNLABELLED,), tuple(name for name in given if name not in true)))
    return tuple(rows)


def _is_all_singing(name: str, true: list[str], given: list[str]) -> bool:
    """Whether an estimate of ``vocals`` holds the backing that the song has in a file of its own."""
    return name == "vocals" and "backing_vocals" in true and "backing_vocals" not in given
