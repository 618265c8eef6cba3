"""Chunks that overlap, and their sum with cross-fades: how a network of fixed size hears a song of any length.

Three chunks of length L with overlap O, each starting L - O after the one before:

    chunk 0   1 ---------------.
                                `.                          fade-out 1 - r
    chunk 1                    .-`----------------.
              fade-in r      .'                    `.
    chunk 2                                       .-`---------------  1
                             |<- O ->|            |<- O ->|

Proof that it changes nothing which the chunks agree on. At any point one chunk counts alone, with weight 1, or two do,
with weights r and 1 - r, since 2 O <= L keeps three from meeting. Their sum is 1. So where both chunks hold the same value
v, as for any engine whose output at a point depends only on the input at that point, the sum is r v + (1 - r) v = v; and
where the chunks hold masks that sum to one over the stems, the sum is r 1 + (1 - r) 1 = 1, so the stems still add up.

The ramp r rises in O steps through (i + 1/2) / O: it is symmetrical, and no weight in it is 0 or 1. Time is the first axis
of every array here, counted in units: samples for a waveform engine, frames for a mask engine.
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
        rows: exactly the chunk's length; beyond the end of the stream they are zero.
        n_valid: rows that are stream, not padding.
        is_last: no chunk follows.
    """

    index: int
    rows: Rows
    n_valid: int
    is_last: bool

    @property
    def mirrored(self) -> Rows:
        """The same rows, but beyond its end the stream goes back and forth over what there is of it in place of zeros.

        For a network that measures what it hears: silence that is not in the song would count (decision 0008).
        """
        if self.n_valid == len(self.rows):
            return self.rows
        mirrored: Rows = self.rows[back_and_forth(self.n_valid, len(self.rows))]
        return mirrored


def back_and_forth(n_valid: int, length: int) -> NDArray[np.intp]:
    """Which of ``n_valid`` units stands at each of ``length`` places: first to last, last to first, and so on."""
    places = np.arange(length) % (2 * n_valid)
    return np.minimum(places, 2 * n_valid - 1 - places)


def chunks(blocks: Iterable[Rows], size: ChunkSize) -> Generator[Chunk, None, None]:
    """Cuts a stream of blocks ``(units, ...)`` of any length into overlapping chunks. An empty stream gives none."""
    held: list[Rows] = []  # joined once a chunk, not once a block: a chunk of spectra is 17 MB
    n_held = index = 0
    for block in blocks:
        held.append(block)
        n_held += len(block)
        # A full chunk is handed on only when more has come: until then it may be the last, which must not fade out.
        if n_held > size.length:
            buffer = np.concatenate(held)
            while len(buffer) > size.length:
                yield Chunk(index, buffer[: size.length], size.length, is_last=False)
                buffer = buffer[size.stride :]
                index += 1
            held, n_held = [buffer], len(buffer)
    if n_held:
        buffer = np.concatenate(held)
        padding = np.zeros((size.length - len(buffer), *buffer.shape[1:]), buffer.dtype)
        yield Chunk(index, np.concatenate([buffer, padding]), len(buffer), is_last=True)


class OverlapAdd:
    """Puts chunks that an engine has worked on together again. Chunks come in order; the first may be any."""

    def __init__(self, size: ChunkSize) -> None:
        self._size = size
        self._ramp = ((np.arange(size.overlap) + 0.5) / max(1, size.overlap)).astype(np.float32)
        self._tail: Rows | None = None

    def add(self, chunk: Chunk, rows: Rows) -> Rows:
        """The rows that are final with this chunk: its stride, or all that is left with the last.

        Args:
            chunk: which chunk it was.
            rows: what the engine made of it, ``(length, ...)``.
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
