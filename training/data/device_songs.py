"""Songs in the memory of a device, as 16-bit samples in one tensor: a gigabyte holds an hour and a half of stems."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import torch

from stemwright.cpu_memory_limits import cores
from training.data.songs import SongFiles, SongLibrary, StemAudio, StemExtent

BYTES = 4  # of a stereo sample


class DeviceStem(StemExtent):
    """A stem whose samples begin at ``offset`` of ``DeviceSongs.samples``."""

    def __init__(self, recording: StemAudio, offset: int) -> None:
        super().__init__(recording.length, recording.audible)
        self.offset = offset


DeviceSong = Mapping[str, DeviceStem]


class DeviceSongs:
    """The songs on a device. They stay there: once the memory is full, no song is added.

    Attributes:
        samples: both channels of each sample, ``(capacity, 2)``, 16 bits.
        training, held_out: songs by name. A new song or stem makes a new mapping, so that a thread can go on
            with the old one.
        full: a song was left out, since there was no room.
    """

    def __init__(self, libraries: Sequence[SongLibrary], memory_bytes: int, device: torch.device) -> None:
        self.libraries = libraries
        self.samples = torch.empty(memory_bytes // BYTES, 2, dtype=torch.int16, device=device)
        self.training: dict[str, DeviceSong] = {}
        self.held_out: dict[str, DeviceSong] = {}
        self.full = False
        self._used = 0
        self._looking = threading.Lock()

    @property
    def device(self) -> torch.device:
        """Where the samples lie."""
        return self.samples.device

    @property
    def seconds(self) -> float:
        """Length of all training stems together."""
        return sum(stem.seconds for song in self.training.values() for stem in song.values())

    def refresh(self) -> None:
        """Looks for new songs and stems and loads them one by one. Another thread may draw mixes meanwhile."""
        with self._looking, ThreadPoolExecutor(cores()) as readers:
            new: list[tuple[SongFiles, str, Path]] = []
            for library in self.libraries:
                for song in library.songs():
                    known = (self.held_out if song.held_out else self.training).get(song.name, {})
                    new += [(song, stem, path) for stem, path in song.stems.items() if stem not in known]
            for start in range(0, len(new), 64):  # so many at a time in the host's memory
                some = new[start : start + 64]
                read = readers.map(StemAudio.read, [path for _, _, path in some])
                for (song, stem, _), recording in zip(some, read, strict=True):
                    self._take(song, stem, recording)

    def _take(self, song: SongFiles, stem: str, recording: StemAudio) -> None:
        end = self._used + recording.length
        if end > len(self.samples):
            self.full = True
            return
        self.samples[self._used : end] = torch.from_numpy(recording.samples).T.to(self.device)  # (2, n) -> (n, 2)
        placed = DeviceStem(recording, self._used)
        self._used = end
        songs = self.held_out if song.held_out else self.training
        more = {**songs, song.name: {**songs.get(song.name, {}), stem: placed}}
        if song.held_out:
            self.held_out = more
        else:
            self.training = more
