"""What the database knows of files in the store: enough to tell which ones nobody needs."""

from __future__ import annotations

import time
from collections.abc import Collection

from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.service.clock import Clock
from stemwright.storage.blob import StoredBlob

GRACE_PERIOD_S = 3600.0
"""How long a file that no row refers to is left alone: its writer may be about to add that row."""


class BlobRecords:
    """Notes of files. ``created_at`` of a note is when its hour of grace began last."""

    def __init__(self, database: Database, clock: Clock = time.time) -> None:
        self._database = database
        self._clock = clock

    def record(self, blob: StoredBlob) -> None:
        """A file is about to be stored, perhaps again: its hour begins. The store calls this."""
        with self._database.write() as session:
            session.merge(tables.Blob(digest=blob.digest, size_bytes=blob.size_bytes, created_at=self._clock()))


def start_grace_period(session: Session, digests: Collection[str], now: float) -> None:
    """Rows that referred to these files go in this transaction: the hour begins, as others may just be reusing them."""
    session.execute(update(tables.Blob).where(tables.Blob.digest.in_(digests)).values(created_at=now))


def is_unreferenced(now: float) -> ColumnElement[bool]:
    """The condition on a note that no row refers to its file, and that its hour is over."""
    digest = tables.Blob.digest
    return (
        (tables.Blob.created_at <= now - GRACE_PERIOD_S)
        & ~select(tables.Track.id).where(tables.Track.blob == digest).exists()
        & ~select(tables.Stem.id).where(tables.Stem.blob == digest).exists()
        & ~select(tables.Upload.id).where(tables.Upload.blob == digest).exists()
    )
