"""Peaks files of stored songs and stems: stored by the worker, or computed when first asked for."""

from __future__ import annotations

from sqlalchemy import select

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.database.statements import upsert
from stemwright.service.preview_reader import PreviewReader
from stemwright.storage.local_copies import LocalCopies
from stemwright.storage.store import Store, StoredBlob


class PeaksFiles:
    """Peaks files by the digest of their sound file. Thread-safe."""

    def __init__(self, database: Database, store: Store, copies: LocalCopies, previews: PreviewReader) -> None:
        self._database = database
        self._store = store
        self._copies = copies
        self._previews = previews

    def add(self, source: str, peaks: StoredBlob) -> None:
        """Records the stored peaks of a sound file; it has no effect if the sound file was deleted."""
        with self._database.write() as session:
            known = select(tables.Blob.digest).where(tables.Blob.digest == source)
            if session.scalar(known.with_for_update()) is not None:  # retention deletes both or neither
                upsert(session, tables.Peaks, source=source, blob=peaks.digest, size_bytes=peaks.size_bytes)

    def get(self, source: str) -> StoredBlob:
        """The stored peaks of a sound file. Results of older releases have none: they are computed once, here.

        Raises:
            BlobMissing: the sound file is not in the store.
            PreviewUnavailable: it cannot be read, or not in time.
            StorageError: there is no room for the peaks.
        """
        with self._database.read() as session:
            row = session.get(tables.Peaks, source)
        if row is not None and self._store.exists(row.blob):
            return StoredBlob(row.blob, row.size_bytes)
        with self._copies.file(source) as path, self._store.writer() as writer:
            writer.write(self._previews.peaks(path))
            blob = writer.commit()
        self.add(source, blob)
        return blob
