"""Songs on disk, and a cache of their stems in memory as 16-bit samples, which grows while a corpus is rendered."""

from __future__ import annotations

import mmap
import os
import random
import shutil
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Protocol

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from stemwright.stems import STEMS
from training.data.features import SAMPLE_RATE_HZ

HELD_OUT_ONE_IN = 20
"""One song in this many, by a checksum of its name, is kept for validation."""

BLOCK_S = 0.5
AUDIBLE = 10 ** (-50 / 20)
SILENCE_PEAK = 1e-3
"""A stem whose peak is never above this has no file."""

EXCLUDING_PREFIX = "not-"
"""Label prefix of audio that may contain any stems but the ones that follow: ``not-vocals-backing_vocals``."""

Samples = NDArray[np.int16]


@cache
def possible_stems(label: str) -> tuple[str, ...]:
    """Stems that audio with this label may contain: the stem, or all others for ``not-...``; empty for other labels."""
    if not label.startswith(EXCLUDING_PREFIX):
        return (label,) if label in STEMS else ()
    absent = label.removeprefix(EXCLUDING_PREFIX).split("-")
    return tuple(stem for stem in STEMS if stem not in absent) if set(absent) < set(STEMS) else ()


def label_excluding(absent: Iterable[str]) -> str:
    """The label of audio that may contain any stems but these."""
    return EXCLUDING_PREFIX + "-".join(stem for stem in STEMS if stem in set(absent))


@dataclass(frozen=True)
class SongFiles:
    """A song on disk: a name, unique in its library, and a file for each stem, or one for several unlabelled stems."""

    name: str
    stems: dict[str, Path]

    @property
    def held_out(self) -> bool:
        """Whether the song is for validation, not for training."""
        return zlib.crc32(self.name.encode()) % HELD_OUT_ONE_IN == 0


class SongLibrary(Protocol):
    """A source of songs: a rendered corpus, or multitracks in another layout."""

    def songs(self) -> Iterator[SongFiles]:
        """The complete songs that are there now."""
        ...


@dataclass(frozen=True)
class Corpus:
    """Songs as ``<root>/<song>/<label>.flac``, with labels as for ``possible_stems``.

    Folders whose names begin with a dot are unfinished.
    """

    root: Path

    def songs(self) -> Iterator[SongFiles]:
        """The songs that are there now."""
        for folder in sorted(self.root.glob("[!.]*/")):
            files = {path.stem: path for path in sorted(folder.glob("*.flac"))}
            known = [stem for stem in STEMS if stem in files]
            unknown = [label for label in files if label not in STEMS and possible_stems(label)]
            stems = {label: files[label] for label in known + unknown}
            if stems:
                yield SongFiles(f"{self.root.name}/{folder.name}", stems)


class StemExtent:
    """The length of one stem of one song in samples, and the blocks of it that are audible."""

    def __init__(self, length: int, audible: NDArray[np.intp]) -> None:
        self.length = length
        self.audible = audible

    @property
    def seconds(self) -> float:
        """The length in seconds."""
        return self.length / SAMPLE_RATE_HZ

    def audible_start(self, rng: np.random.Generator, length: int) -> int:
        """A random start from which ``length`` samples contain audible sound, if the stem does."""
        if not len(self.audible):
            return int(rng.integers(max(1, self.length - length)))
        start = int(rng.choice(self.audible)) - int(rng.integers(length // 2))
        return max(0, min(start, self.length - length))


class StemAudio(StemExtent):
    """One stem of one song: ``samples`` are ``(2, n)``, 16 bits."""

    def __init__(self, samples: Samples) -> None:
        block = round(BLOCK_S * SAMPLE_RATE_HZ)
        peaks = [np.abs(samples[:, at : at + block]).max(initial=0) for at in range(0, samples.shape[1], block)]
        super().__init__(samples.shape[1], np.flatnonzero(np.array(peaks) > AUDIBLE * 32768) * block)
        self.samples = samples

    @classmethod
    def read(cls, path: Path) -> StemAudio:
        """Reads a file of 44.1 kHz; one channel becomes two.

        Raises:
            ValueError: the file has another rate.
        """
        samples, rate = soundfile.read(path, dtype="int16", always_2d=True)
        if rate != SAMPLE_RATE_HZ:
            raise ValueError(f"{path} has {rate} Hz; a corpus has {SAMPLE_RATE_HZ} Hz.")
        held = _allocate(len(samples))
        held[:] = samples.T[:2]  # (n, channels) -> (2, n)
        return cls(held)

    @property
    def nbytes(self) -> int:
        """Size in memory."""
        return self.samples.nbytes

    def cut(self, start: int, length: int) -> NDArray[np.float32]:
        """``(2, length)`` as floats in -1 to 1, zeros beyond the end."""
        piece = self.samples[:, start : start + length].astype(np.float32) / 32768
        return np.pad(piece, ((0, 0), (0, length - piece.shape[1])))


def _allocate(length: int) -> Samples:
    """Memory for ``(2, length)`` in an anonymous map of its own, which the system gets back when it is freed.

    Songs come and go in a cache. Among the other allocations of a run (``training.optimise.malloc``) they left holes: a
    cache of 6.5 GB took 13 GB after 40 minutes, and the system killed the run.
    """
    size_bytes = 2 * length * np.dtype(np.int16).itemsize
    return np.frombuffer(mmap.mmap(-1, max(1, size_bytes)), np.int16, 2 * length).reshape(2, length)


def to_stereo(signal: NDArray[np.float32], rate: int) -> NDArray[np.float32]:
    """``(channels, samples)`` at any rate -> ``(2, samples)`` at 44.1 kHz: mono is duplicated, two channels kept."""
    pair = np.broadcast_to(signal[:2], (2, signal.shape[-1]))
    return np.asarray(
        soxr.resample(pair.T, rate, SAMPLE_RATE_HZ).T, np.float32
    )  # (2, samples) -> (samples, 2) and back


def write_song(folder: Path, stems: Mapping[str, NDArray[np.float32]]) -> None:
    """Writes ``(2, samples)`` of each stem into a new folder, whole or not at all.

    One stem can have a higher peak than the song. If one would clip, all are turned down together.
    """
    unfinished = folder.with_name(f".{folder.name}-{os.getpid()}")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(parents=True)
    peak = max(1.0, *(float(np.abs(audio).max()) for audio in stems.values()))
    for stem, audio in stems.items():
        write_flac(unfinished / f"{stem}.flac", audio / np.float32(peak))
    unfinished.rename(folder)


def write_flac(path: Path, audio: NDArray[np.float32]) -> None:
    """Writes ``(2, samples)`` as ``StemAudio.read`` reads it: a FLAC of 44.1 kHz and 16 bits."""
    soundfile.write(path, audio.T, SAMPLE_RATE_HZ, subtype="PCM_16", format="FLAC")  # (2, samples) -> (samples, 2)


class SongCache:
    """The songs in memory. Above ``memory_bytes``, a random part of them, which changes with each refresh."""

    def __init__(self, libraries: Sequence[SongLibrary], memory_bytes: int, seed: int = 0) -> None:
        self.libraries = libraries
        self.memory_bytes = memory_bytes
        self.training: dict[str, dict[str, StemAudio]] = {}
        self.held_out: dict[str, dict[str, StemAudio]] = {}
        self._random = random.Random(seed)

    def refresh(self) -> None:
        """Looks for new songs and stems, and makes room for them. Safe while another thread draws from the cache."""
        there = {song.name: song for library in self.libraries for song in library.songs()}
        for name in [name for name in there if there[name].held_out]:
            self.held_out[name] = _load(there.pop(name), self.held_out.get(name, {}))
        training = {name: _load(there[name], old) for name, old in self.training.items() if name in there}
        new = [name for name in there if name not in training]
        self._random.shuffle(new)
        room = self.memory_bytes - sum(map(_size, training.values()))
        leaving = list(training)
        self._random.shuffle(leaving)
        leaving = leaving[: len(leaving) // 8]
        for name in new:
            while room <= 0 and leaving:
                room += _size(training.pop(leaving.pop()))
            if room <= 0:
                break
            training[name] = _load(there[name], {})
            room -= _size(training[name])
        self.training = training

    @property
    def seconds(self) -> float:
        """Length of all training stems in memory together."""
        return sum(map(_size, self.training.values())) / (4 * SAMPLE_RATE_HZ)


def _load(song: SongFiles, known: dict[str, StemAudio]) -> dict[str, StemAudio]:
    return {stem: known[stem] if stem in known else StemAudio.read(path) for stem, path in song.stems.items()}


def _size(song: dict[str, StemAudio]) -> int:
    return sum(recording.nbytes for recording in song.values())
