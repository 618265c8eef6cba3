"""Folder layouts of data sets. A layout finds songs with true stems, and the estimates of each song."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stemwright.evaluation import moises_layout, msst_layout, musdb_layout, reference_songs
from stemwright.evaluation.dataset_labels import labelled_estimates
from stemwright.evaluation.metric_selection import LayoutName
from stemwright.evaluation.reference_songs import Files, ReferenceSong


class Songs(Protocol):
    """Reads a folder of songs, or the folder of one song."""

    def __call__(self, folder: Path) -> tuple[ReferenceSong, ...]:
        """Raises ``UnreadableInputError`` if the folder has another layout."""


class Estimates(Protocol):
    """Finds the estimates of one song in a folder, by name."""

    def __call__(self, folder: Path, song: ReferenceSong, *, is_only_song: bool) -> Mapping[str, Files]:
        """Raises ``UnreadableInputError`` if there are none, or one has an unknown name."""


@dataclass(frozen=True)
class Layout:
    """A folder layout."""

    find_songs: Songs
    find_estimates: Estimates


LAYOUTS: dict[LayoutName, Layout] = {
    "songs": Layout(reference_songs.find_songs, reference_songs.find_estimates),
    "musdb": Layout(musdb_layout.find_songs, labelled_estimates),
    "moises": Layout(moises_layout.find_songs, labelled_estimates),
    "msst": Layout(msst_layout.find_songs, labelled_estimates),
}
