"""Songs whose samples lie on a device, as 16-bit integers side by side: a gigabyte holds an hour and a half of stems."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from stemwright.quota import cores
from training.data.songs import Extent, Library, Recording, SongFiles

BYTES = 4  # of a stereo sample


class Placed(Extent):
    """A stem whose samples begin at ``offset`` of the pool."""

    def __init__(self, recording: Recording, offset: int) -> None:
        super().__init__(recording.length, recording.audible)
        self.offset = offset


PlacedSong = Mapping[str, Placed]


class Pool:
    """A bank of songs on a device. What is there stays: once it is full, no song is added.

    Attributes:
        samples: both channels of each sample, ``(capacity, 2)``, 16 bits.
        training, held_out: songs by name. A new song or stem makes a new mapping, so that whoever draws from one may go on.
        full: a song was left out for want of room.
    """

    def __init__(self, libraries: Sequence[Library], memory_bytes: int, device: torch.device) -> None:
        self.libraries = libraries
        self.samples = torch.empty(memory_bytes // BYTES, 2, dtype=torch.int16, device=device)
        self.training: dict[str, PlacedSong] = {}
        self.held_out: dict[str, PlacedSong] = {}
        self.full = False
        self._used = 0
        self._looking = threading.Lock()

    @property
    def device(self) -> torch.device:
        """Where the samples lie."""
        return self.samples.device

    @property
    def seconds(self) -> float:
        """Length of all stems that train, together."""
        return sum(stem.seconds for song in self.training.values() for stem in song.values())

    def refresh(self) -> None:
        """Looks for new songs and stems and takes them up one by one. Another thread may draw meanwhile."""
        with self._looking, ThreadPoolExecutor(cores()) as readers:
            new: list[tuple[SongFiles, str, Path]] = []
            for library in self.libraries:
                for song in library.songs():
                    known = (self.held_out if song.held_out else self.training).get(song.name, {})
                    new += [(song, stem, path) for stem, path in song.stems.items() if stem not in known]
            for start in range(0, len(new), 64):  # no more in the computer's own memory at a time
                some = new[start : start + 64]
                read = readers.map(Recording.read, [path for _, _, path in some])
                for (song, stem, _), recording in zip(some, read, strict=True):
                    self._take(song, stem, recording)

    def _take(self, song: SongFiles, stem: str, recording: Recording) -> None:
        end = self._used + recording.length
        if end > len(self.samples):
            self.full = True
            return
        self.samples[self._used : end] = torch.from_numpy(recording.samples).T.to(self.device)  # (2, n) -> (n, 2)
        placed = Placed(recording, self._used)
        self._used = end
        songs = self.held_out if song.held_out else self.training
        more = {**songs, song.name: {**songs.get(song.name, {}), stem: placed}}
        if song.held_out:
            self.held_out = more
        else:
            self.training = more
