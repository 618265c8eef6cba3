"""Which true stems are compared with which estimates."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass

from stemwright.stems import SINGING, STEMS

UNLABELLED = "unlabelled"
"""Name of a file with the remainder of a song that is not fully labelled."""

ESTIMATES = (*STEMS, "instrumental", "residual")
"""Valid names of estimates."""

ROWS = (*STEMS, "wind", "orchestra", "other", "singing", "instrumental", UNLABELLED)
"""Names of comparisons, in the order of all tables."""


@dataclass(frozen=True)
class Comparison:
    """One row: the sum of the true stems ``references`` compared with the sum of the estimates ``estimates``."""

    name: str
    references: tuple[str, ...]
    estimates: tuple[str, ...]


def comparisons(
    references: Collection[str], estimates: Collection[str], coarse: Mapping[str, tuple[str, ...]] | None = None
) -> tuple[Comparison, ...]:
    """The rows that are possible for a song with these true stems and estimates.

    A stem is compared with the estimate of the same name. ``singing`` and ``instrumental`` compare the sum of all vocal
    stems and that of all others, in songs that have both. ``unlabelled`` is compared with the sum of the estimates of
    stems without a file. Without an estimate of ``backing_vocals``, the estimate of ``vocals`` counts as all singing.

    Args:
        references: names of the true stems.
        estimates: names of the estimates.
        coarse: the stems of each label that is coarser than the vocabulary. It is compared with the sum of the
                estimates that cover exactly these stems, and has no row if there are none.
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
    # The remainder is only known if the estimates add up to the song.
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
    """Whether the estimate of ``vocals`` includes backing vocals that the song has as a separate file."""
    return name == "vocals" and "backing_vocals" in true and "backing_vocals" not in given


def _estimates_covering(stems: tuple[str, ...], given: list[str]) -> tuple[str, ...]:
    """The estimates that cover exactly these stems, each once; empty if that is not possible."""
    covered: set[str] = set()
    names = []
    for name in given:
        part = _stems_in(name, given)
        if part and part <= set(stems) - covered:
            names.append(name)
            covered |= part
    return tuple(names) if covered == set(stems) else ()


def _stems_in(name: str, given: list[str]) -> set[str]:
    """The stems that an estimate covers, given the names of all estimates."""
    if name == "vocals":
        return {"vocals"} if "backing_vocals" in given else set(SINGING)
    if name == "instrumental":
        return set(STEMS) - set(SINGING)
    if name == "residual":
        return set(STEMS).difference(*(_stems_in(other, given) for other in given if other != "residual"))
    return {name}
