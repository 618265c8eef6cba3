"""Spectrograms of stored songs and stems, as tiles, and what a stem took of its song. Computed when first asked for."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from stemwright.audio.tile_index import TileIndex, read_index
from stemwright.service.derived_files import DerivedFiles
from stemwright.service.errors import NotFound
from stemwright.service.preview_reader import PreviewReader
from stemwright.storage.local_copies import LocalCopies
from stemwright.storage.store import Store, StoredBlob

VERSION = 1
"""Of the pictures: another number has all of them drawn again."""

KEPT_INDEXES = 64
"""Indexes in memory; that of an hour has 30 KB."""


class Spectrograms:
    """Tile files of sound files, by digests. Thread-safe.

    Every method raises BlobMissing where a sound file is gone, PreviewUnavailable where one cannot be read, and
    StorageError where there is no room.
    """

    def __init__(self, derived_files: DerivedFiles, store: Store, copies: LocalCopies, previews: PreviewReader) -> None:
        self._derived_files = derived_files
        self._store = store
        self._copies = copies
        self._previews = previews
        self.index = lru_cache(KEPT_INDEXES)(self._read_index)
        """The index of a tile file."""

    def of(self, sound: str) -> StoredBlob:
        """The tile file of a sound file."""

        def draw(out: Path) -> None:
            with self._copies.file(sound) as path:
                self._previews.spectrogram(path, out)

        return self._derived_files.get(sound, f"spectrogram-{VERSION}", draw)

    def taken(self, song: str, stem: str, gain: float) -> StoredBlob:
        """The tile file of what a stem took of its song. ``gain`` is the factor with which the stem was written."""

        def draw(out: Path) -> None:
            with self._copies.file(song) as song_path, self._copies.file(stem) as stem_path:
                self._previews.taken(song_path, stem_path, out, gain=gain)

        return self._derived_files.get(stem, f"taken-{VERSION} {song[:32]} {gain:.6g}", draw)

    def tile(self, tiles: StoredBlob, level: int, number: int) -> bytes:
        """One PNG of a tile file.

        Raises:
            NotFound: there is no such tile.
        """
        levels = self.index(tiles).tiles
        if level >= len(levels) or number >= len(levels[level]):
            raise NotFound("There is no tile of that level and number.")
        start, n_bytes = levels[level][number]
        return b"".join(self._store.read(tiles.digest, start, start + n_bytes))

    def _read_index(self, tiles: StoredBlob) -> TileIndex:
        def read(start: int, end: int) -> bytes:
            return b"".join(self._store.read(tiles.digest, start, end))

        return read_index(tiles.size_bytes, read)
