"""Database records of stored files, used to find files that are no longer referenced."""

from __future__ import annotations

import time
from collections.abc import Collection

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.database.statements import upsert
from stemwright.service.clock import Clock
from stemwright.storage.blob import StoredBlob

GRACE_PERIOD_S = 3600.0
"""Grace period of an unreferenced file, in seconds: a writer may be about to add a row for it."""


class BlobRecords:
    """Records of stored files. ``created_at`` is the last start of the grace period."""

    def __init__(self, database: Database, clock: Clock = time.time) -> None:
        self._database = database
        self._clock = clock

    def record(self, blob: StoredBlob) -> None:
        """Starts the grace period of a file that is about to be stored, or stored again. Called by the store."""
        with self._database.write() as session:
            upsert(session, tables.Blob, digest=blob.digest, size_bytes=blob.size_bytes, created_at=self._clock())


def start_grace_period(session: Session, digests: Collection[str], now: float) -> None:
    """Restarts the grace period of files whose rows this transaction deletes: others may be about to reuse them."""
    if not digests:
        return
    # In order, so that two transactions do not wait for each other.
    row = tables.Blob
    session.execute(select(row.digest).where(row.digest.in_(digests)).order_by(row.digest).with_for_update())
    session.execute(update(row).where(row.digest.in_(digests)).values(created_at=now))


def is_unreferenced(now: float) -> ColumnElement[bool]:
    """SQL condition: no row refers to the file, and its grace period is over."""
    digest = tables.Blob.digest
    return (
        (tables.Blob.created_at <= now - GRACE_PERIOD_S)
        & ~select(tables.Track.id).where(tables.Track.blob == digest).exists()
        & ~select(tables.Stem.id).where(tables.Stem.blob == digest).exists()
        & ~select(tables.Upload.id).where(tables.Upload.blob == digest).exists()
        & ~select(tables.Peaks.source).where(tables.Peaks.blob == digest).exists()
        & ~select(tables.DerivedFile.source).where(tables.DerivedFile.blob == digest).exists()
        & ~select(tables.WorkingPart.task_id).where(tables.WorkingPart.blob == digest).exists()
    )
