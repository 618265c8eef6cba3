"""Input of a separation: a song that can be read from its start as often as needed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from stemwright.errors import UnreadableInputError
from stemwright.separation.samples import HIGHEST_RATE_HZ, LOWEST_RATE_HZ

if TYPE_CHECKING:
    from stemwright.audio.encode import Tags

Samples = NDArray[np.float32]

BLOCK = 65_536
"""Samples of a block of an array."""


class Source(Protocol):
    """A song as a stream. Every pass gives the same samples."""

    @property
    def sample_rate(self) -> int:
        """Hz."""

    @property
    def channels(self) -> int:
        """1 or 2."""

    @property
    def expected_s(self) -> float | None:
        """Length of the song in seconds, if known before reading."""

    def blocks(self) -> Iterator[Samples]:
        """The song from its start in blocks ``(channels, samples)``."""


@dataclass(frozen=True)
class ArraySource:
    """A song in memory: ``(channels, samples)`` with one or two channels, as ``samples.as_samples`` gives it."""

    samples: Samples
    sample_rate: int

    @property
    def channels(self) -> int:
        """1 or 2."""
        return int(self.samples.shape[0])

    @property
    def expected_s(self) -> float | None:
        """Length in seconds."""
        return float(self.samples.shape[1]) / self.sample_rate

    def blocks(self) -> Iterator[Samples]:
        """The array in blocks."""
        for start in range(0, self.samples.shape[1], BLOCK):
            yield self.samples[:, start : start + BLOCK].astype(np.float32, copy=False)


class FileSource:
    """A song in a file, or a section of it.

    Raises:
        UnreadableInputError: the file cannot be opened as audio. Reading may raise it later.
    """

    def __init__(self, path: Path, *, start_s: float = 0.0, duration_s: float | None = None) -> None:
        from stemwright.audio.decode import probe

        self.path = path
        self.format = probe(path)
        if not LOWEST_RATE_HZ <= self.format.sample_rate <= HIGHEST_RATE_HZ:  # a second of it would be hours of frames
            raise UnreadableInputError(
                f"{path} has a sample rate of {self.format.sample_rate} Hz in its header, which is not valid for audio: "
                "save it again at its true rate."
            )
        self.notes: tuple[str, ...] = ()
        self._start_s = start_s
        self._duration_s = duration_s
        self._decoded_s: float | None = None

    @property
    def sample_rate(self) -> int:
        """Hz."""
        return self.format.sample_rate

    @property
    def channels(self) -> int:
        """1 or 2; more are folded to 2."""
        return self.format.channels

    @property
    def expected_s(self) -> float | None:
        """Length in seconds from the container, or if it has none, as decoded in the first pass."""
        if self.format.duration_s is None:
            return self._decoded_s if self._decoded_s is not None else self._duration_s
        left = max(0.0, self.format.duration_s - self._start_s)
        return left if self._duration_s is None else min(left, self._duration_s)

    def blocks(self) -> Iterator[Samples]:
        """Decodes the file from the start; ``notes`` is set at the end."""
        from stemwright.audio.decode import Decoder

        n_samples = 0
        with Decoder(self.path, start_s=self._start_s, duration_s=self._duration_s) as decoder:
            for block in decoder:
                n_samples += block.shape[1]
                yield block
            self.notes = tuple(decoder.notes)
        self._decoded_s = n_samples / self.sample_rate

    def tags(self, stem: str) -> Tags:
        """The song's tags for the file of one of its stems."""
        from stemwright.audio.encode import Tags

        known = self.format
        return Tags(title=known.title or self.path.stem, artist=known.artist, album=known.album, stem=stem)

    def digest(self) -> str:
        """SHA-256 of the file."""
        with self.path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
