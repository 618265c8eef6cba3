"""The vocabulary: twelve stem names, and what a request for stems asks for.

The names and their order are the same everywhere: files, JSON, code. Two more names exist, both for an exact rest:
``instrumental`` (two-stem mode) and ``residual`` (a list of stems).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from stemwright import arguments
from stemwright.errors import UsageError

STEMS = (
    "vocals",
    "backing_vocals",
    "drums",
    "bass",
    "guitar",
    "keyboard",
    "strings",
    "brass",
    "woodwinds",
    "percussion",
    "synth",
    "fx",
)
"""The twelve parts, in the order of every file, table and tensor."""

SINGING = ("vocals", "backing_vocals")
"""What ``vocals`` stands for wherever ``backing_vocals`` is not named beside it."""


@dataclass(frozen=True)
class Part:
    """One output of a separation: its name and the stems that make it up."""

    name: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Selection:
    """The outputs that a request asks for. The last part is always the exact rest of the input.

    Attributes:
        mode: ``two``, ``twelve``, or the list as it was asked for (``drums,bass``).
        parts: the outputs in order; together their sources are all twelve stems, each once.
    """

    mode: str
    parts: tuple[Part, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parts, in order."""
        return tuple(part.name for part in self.parts)


def select(stems: str | Iterable[str]) -> Selection:
    """Reads ``two``, ``twelve``, or stem names: separated by commas, or as a list.

    Raises:
        UsageError: a name is unknown or given twice, the list is empty, or holds what is no name.
    """
    asked = ",".join(arguments.words(stems, "stems")).lower()
    if asked == "two":
        rest = tuple(stem for stem in STEMS if stem not in SINGING)
        return Selection("two", (Part("vocals", SINGING), Part("instrumental", rest)))
    if asked == "twelve":
        return Selection("twelve", tuple(Part(stem, (stem,)) for stem in STEMS))
    return _select_list(asked)


def _select_list(asked: str) -> Selection:
    names = [name.strip() for name in asked.split(",") if name.strip()]
    if not names:
        raise UsageError(f"No stems were named. Use two, twelve, or a list of: {', '.join(STEMS)}.")
    for name in names:
        if name not in STEMS:
            raise UsageError(f"There is no stem named '{name}'. Use two, twelve, or a list of: {', '.join(STEMS)}.")
    if len(set(names)) < len(names):
        raise UsageError(f"A stem is named twice in '{asked}'. Name each stem once.")
    if len(names) == len(STEMS):
        return Selection("twelve", tuple(Part(stem, (stem,)) for stem in STEMS))
    parts = []
    for name in names:
        whole_singing = name == "vocals" and "backing_vocals" not in names
        parts.append(Part(name, SINGING if whole_singing else (name,)))
    claimed = {source for part in parts for source in part.sources}
    parts.append(Part("residual", tuple(stem for stem in STEMS if stem not in claimed)))
    return Selection(",".join(names), tuple(parts))
