"""Which true stems are compared with which estimates."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from stemwright.stems import SINGING, STEMS

UNLABELLED = "unlabelled"
"""The name of a file that holds the rest of a song whose parts are not all known."""

ESTIMATES = (*STEMS, "instrumental", "residual")
"""The names that an estimate may have."""

ROWS = (*STEMS, "wind", "orchestra", "other", "singing", "instrumental", UNLABELLED)
"""The names of comparisons, in the order of every table."""


@dataclass(frozen=True)
class Comparison:
    """One row: the sum of the true stems ``references`` against the sum of the estimates ``estimates``."""

    name: str
    references: tuple[str, ...]
    estimates: tuple[str, ...]


def comparisons(
    references: Collection[str], estimates: Collection[str], coarse: Mapping[str, tuple[str, ...]] | None = None
) -> tuple[Comparison, ...]:
    """The rows that a song with these true stems allows, given estimates of these names.

    A stem is compared with the estimate of its name. ``singing`` and ``instrumental`` compare all vocal stems and all
    others, in songs that have both. ``unlabelled`` is compared with the sum of the estimates that no other file of the
    song names. Without an estimate of ``backing_vocals``, that of ``vocals`` stands for all singing.

    Args:
        references: names of the true stems.
        estimates: names of the estimates.
        coarse: the stems that each label stands for which is coarser than the vocabulary. It is compared with the sum
            of the estimates that together hold just these stems, and has no row where there are none.
    """
    coarse = coarse or {}
    true = [name for name in ROWS if name in references]
    given = [name for name in ESTIMATES if name in estimates]
    rows = []
    for name in true:
        if name in coarse:
            if covered := _estimates_covering(coarse[name], given):
                rows.append(Comparison(name, (name,), covered))
        elif name in given and not _is_all_singing(name, true, given):
            rows.append(Comparison(name, (name,), (name,)))
    # Only estimates that add up to the song say what its rest is.
    complete = "instrumental" in given or "residual" in given or set(STEMS) <= set(given)
    sung = tuple(name for name in true if name in SINGING)
    played = tuple(name for name in true if name not in SINGING)
    if sung and played and "vocals" in given:
        if "vocals" not in coarse:
            rows.append(Comparison("singing", sung, tuple(name for name in given if name in SINGING)))
        if complete and "instrumental" not in coarse:
            rest = tuple(name for name in given if name not in SINGING)
            rows.append(Comparison("instrumental", played, ("instrumental",) if "instrumental" in given else rest))
    if UNLABELLED in true and complete and "instrumental" not in given:
        rows.append(Comparison(UNLABELLED, (UNLABELLED,), tuple(name for name in given if name not in true)))
    return tuple(rows)


def _is_all_singing(name: str, true: list[str], given: list[str]) -> bool:
    """Whether an estimate of ``vocals`` holds the backing that the song has in a file of its own."""
    return name == "vocals" and "backing_vocals" in true and "backing_vocals" not in given


def _estimates_covering(stems: tuple[str, ...], given: list[str]) -> tuple[str, ...]:
    """The estimates that together hold these stems, each once, and no others; none where that cannot be had."""
    covered: set[str] = set()
    names = []
    for name in given:
        part = _stems_in(name, given)
        if part and part <= set(stems) - covered:
            names.append(name)
            covered |= part
    return tuple(names) if covered == set(stems) else ()


def _stems_in(name: str, given: list[str]) -> set[str]:
    """The stems that an estimate holds, by the names of all of them."""
    if name == "vocals":
        return {"vocals"} if "backing_vocals" in given else set(SINGING)
    if name == "instrumental":
        return set(STEMS) - set(SINGING)
    if name == "residual":
        return set(STEMS).difference(*(_stems_in(other, given) for other in given if other != "residual"))
    return {name}
