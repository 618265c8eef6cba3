"""The four groups of stems that players of Native Instruments' Stems expect."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

N_GROUPS = 4
COLOURS = ("#E3B341", "#7C83F2", "#3FAE74", "#E8695C")
"""Of the groups, in their order."""


@dataclass(frozen=True)
class Group:
    """One of the four parts: its name, and the names of its stems."""

    name: str
    stems: tuple[str, ...]


USUAL = (
    Group("Drums", ("drums", "percussion")),
    Group("Bass", ("bass",)),
    Group(
        "Other",
        ("guitar", "keyboard", "strings", "brass", "woodwinds", "synth", "fx", "instrumental", "residual"),
    ),
    Group("Vocals", ("vocals", "backing_vocals")),
)
"""In the order that players expect."""


def usual_groups(names: Iterable[str]) -> tuple[Group, ...]:
    """The usual groups, with those of their stems that there are."""
    known = set(names)
    return tuple(Group(group.name, tuple(name for name in group.stems if name in known)) for group in USUAL)
