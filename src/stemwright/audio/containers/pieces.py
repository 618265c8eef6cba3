"""Pieces of a file, read as one file, with parts removed and headers replaced."""

from __future__ import annotations

import os
from bisect import bisect_right
from dataclasses import dataclass
from itertools import accumulate
from typing import BinaryIO

WINDOW_BYTES = 1 << 18


@dataclass(frozen=True)
class Span:
    """The bytes of a file from ``start`` up to ``stop``."""

    start: int
    stop: int


Piece = bytes | Span


class Window:
    """Reads a file, or a span of it, at any offset, with a buffer, so that a scan from start to end is fast.

    Offsets count from the start of the span; ``size`` is its length.
    """

    def __init__(self, file: BinaryIO, span: Span | None = None) -> None:
        self._file = file
        self._start = 0
        self._data = b""
        span = span or Span(0, os.fstat(file.fileno()).st_size)
        self._base = span.start
        self.size = span.stop - span.start

    def at(self, offset: int, count: int) -> bytes:
        """``count`` bytes at ``offset``; fewer at the end of the file."""
        if offset >= self.size:  # an offset from a header may have 64 bits, more than a file can be sought to
            return b""
        place = offset - self._start
        if place < 0 or place + count > len(self._data):
            self._file.seek(self._base + offset)
            self._data = self._file.read(min(max(count, WINDOW_BYTES), max(0, self.size - offset)))
            self._start = offset
            place = 0
        return self._data[place : place + count]

    def little(self, offset: int, count: int) -> int:
        """An unsigned little-endian number of ``count`` bytes."""
        return int.from_bytes(self.at(offset, count), "little")

    def big(self, offset: int, count: int) -> int:
        """An unsigned big-endian number of ``count`` bytes."""
        return int.from_bytes(self.at(offset, count), "big")


class PieceFile:
    """The pieces one after another, as one file for reading and seeking."""

    def __init__(self, file: BinaryIO, pieces: tuple[Piece, ...]) -> None:
        self._file = file
        self._pieces = pieces
        lengths = [len(piece) if isinstance(piece, bytes) else piece.stop - piece.start for piece in pieces]
        self._starts = [0, *accumulate(lengths)]
        self._position = 0

    def read(self, count: int = -1) -> bytes:
        """Up to ``count`` bytes; none at the end."""
        left = self._starts[-1] - self._position
        left = left if count < 0 else min(count, left)
        got: list[bytes] = []
        while left > 0:
            number = bisect_right(self._starts, self._position) - 1
            inside = self._position - self._starts[number]
            here = min(left, self._starts[number + 1] - self._position)
            piece = self._pieces[number]
            if isinstance(piece, bytes):
                data = piece[inside : inside + here]
            else:
                self._file.seek(piece.start + inside)
                data = self._file.read(here)
            if not data:
                break
            got.append(data)
            self._position += len(data)
            left -= len(data)
        return b"".join(got)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Change the position; returns the new one."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._starts[-1]}[whence]
        self._position = min(max(0, base + offset), self._starts[-1])
        return self._position

    def tell(self) -> int:
        """The position."""
        return self._position

    def close(self) -> None:
        """Close the underlying file."""
        self._file.close()
