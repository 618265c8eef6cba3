"""The twelve stem names, and how a request for stems is parsed.

The names and their order are the same everywhere: files, JSON, code. There are two more names, both for the exact
remainder of the song: ``instrumental`` (two-stem mode) and ``residual`` (a list of stems).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

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
        playing: the stems that play in the song, in the order of ``STEMS``; None if that is not known.
    """

    mode: str
    parts: tuple[Part, ...]
    playing: tuple[str, ...] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the parts, in order."""
        return tuple(part.name for part in self.parts)

    def plays(self, stem: str) -> bool:
        """Whether a stem may play in the song."""
        return self.playing is None or stem in self.playing


def select(stems: str | Iterable[str], playing: str | Iterable[str] | None = None) -> Selection:
    """Parses ``two``, ``twelve``, or stem names: separated by commas, or as a list.

    Args:
        stems: what is asked for.
        playing: the stems that play in the song (``read_playing``); None if that is not known.

    Raises:
        UsageError: a name is unknown or given twice, a list is empty, an item is not a string, or a stem is asked for
            by its name and does not play.
    """
    selection = _select(stems)
    known = read_playing(playing)
    if known is None:
        return selection
    if selection.mode not in ("two", "twelve"):
        for part in selection.parts[:-1]:
            if not set(part.sources) & set(known):
                raise UsageError(
                    f"The stem '{part.name}' is asked for and is not among those that play: add it to playing, or do "
                    "not ask for it."
                )
    return replace(selection, playing=known)


def read_playing(playing: str | Iterable[str] | None) -> tuple[str, ...] | None:
    """Parses the stems that play in a song, in the order of ``STEMS``; None if that is not known.

    ``vocals`` stands for all singing.

    Raises:
        UsageError: a name is unknown, the list is empty, or an item is not a string.
    """
    if playing is None:
        return None
    names = {name.strip() for name in ",".join(arguments.words(playing, "playing")).lower().split(",") if name.strip()}
    known = ", ".join(STEMS)
    if not names:
        raise UsageError(f"playing names no stem: give those that play in the song, of {known}; or leave it out.")
    for name in sorted(names):
        if name not in STEMS:
            raise UsageError(f"There is no stem named '{short_name(name)}'. Those that can play are: {known}.")
    if "vocals" in names:
        names |= set(SINGING)
    return tuple(stem for stem in STEMS if stem in names)


def _select(stems: str | Iterable[str]) -> Selection:
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
