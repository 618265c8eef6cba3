"""The twelve stem names, and how a request for stems is parsed.

The names and their order are the same everywhere: files, JSON, code. There are two more names, both for the exact
remainder of the song: ``instrumental`` (two-stem mode) and ``residual`` (a list of stems).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from stemwright import arguments
from stemwright.errors import UsageError
from stemwright.formatting import short_name

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
"""The stems that ``vocals`` means where ``backing_vocals`` is not requested as well."""


@dataclass(frozen=True)
class Part:
    """One output of a separation: its name and the stems that make it up."""

    name: str
    sources: tuple[str, ...]


@dataclass(frozen=True)
class Selection:
    """The outputs of a request. The last part is always the exact remainder of the input.

    Attributes:
        mode: ``two``, ``twelve``, or the list as requested (``drums,bass``).
        parts: the outputs in order; together their sources are all twelve stems, each once.
    """

    mode: str
    parts: tuple[Part, ...]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parts, in order."""
        return tuple(part.name for part in self.parts)


def select(stems: str | Iterable[str]) -> Selection:
    """Parses ``two``, ``twelve``, or stem names: separated by commas, or as a list.

    Raises:
        UsageError: a name is unknown or given twice, the list is empty, or an item is not a string.
    """
    requested = ",".join(arguments.words(stems, "stems")).lower()
    if requested == "two":
        rest = tuple(stem for stem in STEMS if stem not in SINGING)
        return Selection("two", (Part("vocals", SINGING), Part("instrumental", rest)))
    if requested == "twelve":
        return Selection("twelve", tuple(Part(stem, (stem,)) for stem in STEMS))
    return _select_list(requested)


def _select_list(requested: str) -> Selection:
    names = [name.strip() for name in requested.split(",") if name.strip()]
    known = ", ".join(STEMS)
    if not names:
        raise UsageError(f"No stems were named. Use two, twelve, or a list of: {known}.")
    for name in names:
        if name not in STEMS:
            raise UsageError(f"There is no stem named '{short_name(name)}'. Use two, twelve, or a list of: {known}.")
    if len(set(names)) < len(names):
        raise UsageError(f"A stem is named twice in '{short_name(requested)}'. Name each stem once.")
    if len(names) == len(STEMS):
        return Selection("twelve", tuple(Part(stem, (stem,)) for stem in STEMS))
    parts = []
    for name in names:
        whole_singing = name == "vocals" and "backing_vocals" not in names
        parts.append(Part(name, SINGING if whole_singing else (name,)))
    claimed = {source for part in parts for source in part.sources}
    parts.append(Part("residual", tuple(stem for stem in STEMS if stem not in claimed)))
    return Selection(",".join(names), tuple(parts))
