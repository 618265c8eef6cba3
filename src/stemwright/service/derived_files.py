"""Files that are computed from stored sound files when they are first asked for, and then stored beside them."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.database.statements import upsert
from stemwright.service.clock import Clock
from stemwright.storage.blob import blob_missing
from stemwright.storage.keyed_locks import KeyedLocks
from stemwright.storage.store import Store, StoredBlob

KEEP_UNUSED_S = 7 * 86_400.0
"""Seconds after its last use until a derived file is deleted."""

USE_INTERVAL_S = 3600.0
"""Seconds between two records of a use: most uses write nothing."""


class DerivedFiles:
    """Derived files by the digest of their source and their kind. Thread-safe."""

    def __init__(self, database: Database, store: Store, clock: Clock = time.time) -> None:
        self._database = database
        self._store = store
        self._clock = clock
        self._locks = KeyedLocks()

    def get(self, source: str, kind: str, compute: Callable[[Path], None]) -> StoredBlob:
        """The file of a kind that belongs to a source. Whoever asks first waits until it is computed, others with them.

        Args:
            source: digest of a stored file.
            kind: what is computed, with all that it depends on, in at most 100 characters.
            compute: writes the file to a path; its errors pass through.

        Raises:
            BlobMissing: the source is not in the store.
            StorageError: there is no room.
        """
        with self._locks.hold((source, kind)):
            found = self._stored(source, kind)
            if found is not None:
                return found
            if not self._store.exists(source):
                raise blob_missing(source)
            path = self._store.incoming / uuid.uuid4().hex
            try:
                compute(path)
                blob = self._store.put_file(path)
            finally:
                path.unlink(missing_ok=True)
            with self._database.write() as session:
                self.add(session, source, kind, blob)
            return blob

    def add(self, session: Session, source: str, kind: str, blob: StoredBlob) -> None:
        """Records a stored file, in a transaction; it has no effect if the source was deleted."""
        known = select(tables.Blob.digest).where(tables.Blob.digest == source)
        if session.scalar(known.with_for_update()) is not None:  # retention deletes both or neither
            file = {"blob": blob.digest, "size_bytes": blob.size_bytes, "used_at": self._clock()}
            upsert(session, tables.DerivedFile, source=source, kind=kind, **file)

    def _stored(self, source: str, kind: str) -> StoredBlob | None:
        with self._database.read() as session:
            row = session.get(tables.DerivedFile, (source, kind))
        if row is None or not self._store.exists(row.blob):
            return None
        now = self._clock()
        if now - row.used_at > USE_INTERVAL_S:
            table = tables.DerivedFile
            used = update(table).where(table.source == source, table.kind == kind).values(used_at=now)
            with self._database.write() as session:
                session.execute(used)
        return StoredBlob(row.blob, row.size_bytes)
