"""Overlapping chunks and cross-faded overlap-add, to process songs of any length with a fixed input length.

Three chunks of length L with overlap O, each starting L - O after the previous one:

    chunk 0   1 ---------------.
                                `.                          fade-out 1 - r
    chunk 1                    .-`----------------.
              fade-in r      .'                    `.
    chunk 2                                       .-`---------------  1
                             |<- O ->|            |<- O ->|

The weights sum to 1 everywhere: each point is covered by one chunk with weight 1, or by two with weights r and 1 - r,
and never by three, since 2 O <= L. So where both chunks have the same value v, as for any engine whose output at a
point only depends on the input at that point, the sum is r v + (1 - r) v = v; and masks that sum to one over the stems
still do: r 1 + (1 - r) 1 = 1.

The ramp r has O values (i + 1/2) / O: it is symmetrical, and no weight is 0 or 1. Time is the first axis of every
array, in units of samples for a waveform engine and frames for a mask engine.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemwright.models.engine import ChunkSize

Rows = NDArray[Any]


@dataclass(frozen=True)
class Chunk:
    """A piece of a stream.

    Attributes:
        index: 0 for the first chunk.
        rows: units of the chunk, always its full length, zero-padded at the end of the stream.
        n_valid: number of rows that are not padding.
        is_last: whether it is the last chunk.
    """

    index: int
    rows: Rows
    n_valid: int
    is_last: bool

    @property
    def mirrored(self) -> Rows:
        """The same rows, padded by reflection instead of zeros.

        For networks that normalise their input: zeros would change the statistics (decision 0008).
        """
        if self.n_valid == len(self.rows):
            return self.rows
        mirrored: Rows = self.rows[mirrored_indices(self.n_valid, len(self.rows))]
        return mirrored


def mirrored_indices(n_valid: int, length: int) -> NDArray[np.intp]:
    """Indices ``(length,)`` into ``n_valid`` units: first to last, last to first, and so on."""
    indices = np.arange(length) % (2 * n_valid)
    return np.minimum(indices, 2 * n_valid - 1 - indices)


def chunks(blocks: Iterable[Rows], size: ChunkSize) -> Generator[Chunk, None, None]:
    """Cuts a stream of blocks ``(units, ...)`` of any length into overlapping chunks. An empty stream gives none."""
    pending: list[Rows] = []  # concatenated per chunk, not per block: a chunk of spectra is 17 MB
    n_pending = index = 0
    for block in blocks:
        pending.append(block)
        n_pending += len(block)
        # A full chunk is only yielded when more units arrive: before that it may be the last, which must not fade out.
        if n_pending > size.length:
            buffer = np.concatenate(pending)
            while len(buffer) > size.length:
                yield Chunk(index, buffer[: size.length], size.length, is_last=False)
                buffer = buffer[size.stride :]
                index += 1
            pending, n_pending = [buffer], len(buffer)
    if n_pending:
        buffer = np.concatenate(pending)
        padding = np.zeros((size.length - len(buffer), *buffer.shape[1:]), buffer.dtype)
        yield Chunk(index, np.concatenate([buffer, padding]), len(buffer), is_last=True)


class OverlapAdd:
    """Joins the engine's outputs of successive chunks. Chunks come in order; the first may have any index."""

    def __init__(self, size: ChunkSize) -> None:
        self._size = size
        self._ramp = ((np.arange(size.overlap) + 0.5) / max(1, size.overlap)).astype(np.float32)
        self._tail: Rows | None = None

    def add(self, chunk: Chunk, rows: Rows) -> Rows:
        """The rows that are complete with this chunk: one stride, or all remaining rows for the last chunk.

        Args:
            chunk: the chunk.
            rows: the engine's output for it, ``(length, ...)``.
        """
        overlap, stride = self._size.overlap, self._size.stride
        ramp = self._ramp.reshape(-1, *([1] * (rows.ndim - 1)))
        rows = rows.copy()
        if self._tail is not None:
            rows[:overlap] = self._tail + ramp * rows[:overlap]
        if chunk.is_last:
            return rows[: chunk.n_valid]
        self._tail = (1 - ramp) * rows[stride:]
        return rows[:stride]
