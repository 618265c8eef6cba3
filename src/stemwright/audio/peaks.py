"""Peaks of a sound file at several resolutions, as waveform displays draw them.

A peaks file has a header of 64 bytes, then five levels, finest first. All numbers are little-endian::

    0   4 bytes  b"SWPK"
    4   uint8    version, 1
    5   uint8    number of levels, 5
    6   uint16   0
    8   uint32   sample rate in Hz
    12  uint32   samples of one segment (see ``segment_length``)
    16  uint64   samples of the file
    24  5 times  uint32 samples per peak, uint32 number of peaks

A peak is two int8: the lowest and the highest sample of all channels in it, 128 being full scale, rounded away from 0.
"""

from __future__ import annotations

import contextlib
import struct
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from stemwright.audio.segments import segment_length
from stemwright.errors import storage_error

MAGIC = b"SWPK"
SAMPLES_PER_PEAK = (256, 1024, 4096, 16_384, 65_536)
HEADER = struct.Struct("<4sBBHIIQ10I")
BLOCK_PEAKS = 1 << 16
"""Peaks in memory at once while the coarser levels are computed."""

Peaks = NDArray[np.int8]


class PeaksWriter:
    """Computes peaks block by block and writes them to ``path``; memory does not grow with the length.

    A context manager. The file is complete after ``close``, or after a context without an exception.

    Raises:
        StorageError: the file cannot be written.
    """

    def __init__(self, path: Path, *, sample_rate: int, full_scale: float) -> None:
        self._path = path
        self._rate = sample_rate
        self._scale = np.float32(128 / full_scale)
        self._lowest = np.zeros(0, np.float32)  # of each sample that does not fill a peak yet
        self._highest = np.zeros(0, np.float32)
        self._samples = 0
        try:
            self._file = path.open("w+b")
            self._file.write(bytes(HEADER.size))
        except OSError as error:
            raise storage_error(error, path) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self._abort()

    def write(self, block: NDArray[Any]) -> None:
        """Adds the next ``(channels, samples)``."""
        self._samples += block.shape[1]
        size = SAMPLES_PER_PEAK[0]
        taken = 0
        if self._lowest.size:
            taken = min(size - self._lowest.size, block.shape[1])
            self._keep(block[:, :taken])
            if self._lowest.size < size:
                return
            self._write(self._lowest.min(keepdims=True), self._highest.max(keepdims=True))
            self._lowest = self._highest = np.zeros(0, np.float32)
        whole = (block.shape[1] - taken) // size
        if whole:
            # (channels, samples) to (channels, peaks, samples of a peak)
            peaks = block[:, taken : taken + whole * size].reshape(block.shape[0], whole, size)
            self._write(peaks.min(axis=2).min(axis=0), peaks.max(axis=2).max(axis=0))
        self._keep(block[:, taken + whole * size :])

    def close(self) -> None:
        """Writes the last peak, the coarser levels and the header."""
        if self._file.closed:
            return
        if self._lowest.size:
            self._write(self._lowest.min(keepdims=True), self._highest.max(keepdims=True))
        try:
            counts = [-(-self._samples // size) for size in SAMPLES_PER_PEAK]
            start = HEADER.size
            for finer in counts[:-1]:
                self._write_coarser(start, finer)
                start += 2 * finer
            levels = [number for level in zip(SAMPLES_PER_PEAK, counts, strict=True) for number in level]
            self._file.seek(0)
            self._file.write(
                HEADER.pack(MAGIC, 1, len(counts), 0, self._rate, segment_length(self._rate), self._samples, *levels)
            )
            self._file.close()
        except OSError as error:
            self._abort()
            raise storage_error(error, self._path) from error

    def _abort(self) -> None:
        with contextlib.suppress(OSError):  # it flushes first; the original error is the one to report
            self._file.close()

    def _keep(self, block: NDArray[Any]) -> None:
        if block.shape[1]:
            self._lowest = np.concatenate([self._lowest, block.min(axis=0)])
            self._highest = np.concatenate([self._highest, block.max(axis=0)])

    def _write(self, lowest: NDArray[Any], highest: NDArray[Any]) -> None:
        peaks = np.stack([np.floor(lowest * self._scale), np.ceil(highest * self._scale)], axis=1)  # (peaks, 2)
        try:
            self._file.write(np.clip(peaks, -128, 127).astype(np.int8).tobytes())
        except OSError as error:
            raise storage_error(error, self._path) from error

    def _write_coarser(self, start: int, count: int) -> None:
        """Appends the level above the one that begins at byte ``start`` and has ``count`` peaks."""
        for first in range(0, count, BLOCK_PEAKS):
            self._file.seek(start + 2 * first)
            n_peaks = min(BLOCK_PEAKS, count - first)
            finer = np.frombuffer(self._file.read(2 * n_peaks), np.int8).reshape(-1, 2)
            padded = np.pad(finer, ((0, -n_peaks % 4), (0, 0)), mode="edge").reshape(-1, 4, 2)
            coarser = np.stack([padded[:, :, 0].min(axis=1), padded[:, :, 1].max(axis=1)], axis=1)  # (peaks, 2)
            self._file.seek(0, 2)
            self._file.write(coarser.tobytes())


def read_peaks(content: bytes) -> tuple[int, int, tuple[Peaks, ...]]:
    """Sample rate in Hz, number of samples, and the levels ``(peaks, 2)`` of a peaks file.

    Raises:
        ValueError: it is not a peaks file.
    """
    if len(content) < HEADER.size:
        raise ValueError("a peaks file has at least 64 bytes")
    magic, version, n_levels, _, rate, _, samples, *numbers = HEADER.unpack_from(content)
    if magic != MAGIC or version != 1 or n_levels != len(SAMPLES_PER_PEAK):
        raise ValueError("not a peaks file of version 1")
    levels, start = [], HEADER.size
    for count in numbers[1::2]:
        levels.append(np.frombuffer(content, np.int8, 2 * count, start).reshape(-1, 2))
        start += 2 * count
    return rate, samples, tuple(levels)
