"""Pictures of a long stream at several scales, cut into PNG tiles, all in one file.

Level 0 has the columns as they are computed. In each level above, a column is the mean power of two columns below. A tile
has 256 columns, the last one of a level as many as are left. The topmost level is one tile. The file has the tiles one after
another, as they were completed, then a JSON object (``TileIndex``), then its length in bytes as a big-endian uint32.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from stemwright.audio.mel_spectrum import Powers
from stemwright.audio.png import palette_png
from stemwright.audio.tile_index import TILE_COLUMNS, TRAILER, Picture, TileIndex
from stemwright.errors import storage_error

Painter = Callable[[Powers], NDArray[np.uint8]]
"""From ``(columns, signals, rows)`` to numbers of colours, ``(rows, columns)`` with the highest frequency on top."""


class TileWriter:
    """Writes a tile file column by column; memory does not grow with the length, but for the index. A context manager.

    Raises:
        StorageError: the file cannot be written.
    """

    def __init__(self, path: Path, paint: Painter, palette: NDArray[np.uint8]) -> None:
        self._path = path
        self._paint = paint
        self._palette = palette
        self._pending: list[Powers | None] = []
        self._columns: list[int] = []
        self._tiles: list[list[tuple[int, int]]] = []
        self._size = 0
        try:
            self._file = path.open("wb")
        except OSError as error:
            raise storage_error(error, path) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def write(self, columns: Powers) -> None:
        """Adds columns, ``(columns, signals, rows)``."""
        self._add(0, columns)

    def finish(self, picture: Picture) -> None:
        """Writes the tiles that are not full, and the index."""
        for level in range(len(self._tiles) + 1):
            rest = self._rest(level)
            if rest is not None:
                self._write_tile(level, rest)
            if len(self._tiles[level]) <= 1:
                break
            if rest is not None:
                self._add(level + 1, _halved(rest))
            elif level + 1 == len(self._tiles):
                break
        n_levels = level + 1
        index = TileIndex(picture, self._columns[:n_levels], self._tiles[:n_levels])
        text = json.dumps(asdict(index), separators=(",", ":")).encode()
        self._write(text + TRAILER.pack(len(text)))

    def _add(self, level: int, columns: Powers) -> None:
        self._make_level(level)
        kept = self._pending[level]
        waiting = columns if kept is None else np.concatenate([kept, columns])
        while len(waiting) >= TILE_COLUMNS:
            tile, waiting = waiting[:TILE_COLUMNS], waiting[TILE_COLUMNS:]
            self._write_tile(level, tile)
            self._add(level + 1, _halved(tile))
        self._pending[level] = waiting.copy() if len(waiting) else None

    def _make_level(self, level: int) -> None:
        if level == len(self._tiles):
            self._pending.append(None)
            self._columns.append(0)
            self._tiles.append([])

    def _rest(self, level: int) -> Powers | None:
        self._make_level(level)
        rest, self._pending[level] = self._pending[level], None
        return rest

    def _write_tile(self, level: int, columns: Powers) -> None:
        png = palette_png(self._paint(columns), self._palette)
        self._columns[level] += len(columns)
        self._tiles[level].append((self._size, len(png)))
        self._write(png)

    def _write(self, content: bytes) -> None:
        try:
            self._file.write(content)
        except OSError as error:
            raise storage_error(error, self._path) from error
        self._size += len(content)


def _halved(columns: Powers) -> Powers:
    """Means of pairs of columns; the last one may be alone."""
    if len(columns) % 2:
        columns = np.concatenate([columns, columns[-1:]])
    means: Powers = columns.reshape(-1, 2, *columns.shape[1:]).mean(axis=1)
    return means
