"""Retention: deletes expired records and unreferenced files."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from sqlalchemy import delete, select, tuple_
from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.database.retry import retry_conflicts
from stemwright.errors import StorageError
from stemwright.service.blobs import BlobRecords, is_unreferenced, start_grace_period
from stemwright.service.clock import Clock, steady_time
from stemwright.service.clock_check import ClockCheck
from stemwright.service.derived_files import KEEP_UNUSED_S
from stemwright.service.rendering import delete_renderings_of
from stemwright.service.sweep_lease import LEASE_S, SweepLease
from stemwright.service.task import ACTIVE_STATES
from stemwright.settings import Settings
from stemwright.storage.blob import StoredBlob, StoreUnreachable
from stemwright.storage.store import Store

BATCH_ROWS = 200
"""Rows per transaction: requests wait for the write lock meanwhile."""

ABANDONED_AFTER_S = 86_400.0
"""Seconds without a write after which a temporary file is abandoned."""

SWEEP_INTERVAL_S = 600.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class SweepResult:
    """Numbers of records and files deleted by a sweep."""

    tasks: int
    tracks: int
    uploads: int
    idempotency_keys: int
    derived_files: int
    blobs: int
    abandoned_files: int


NOTHING_REMOVED = SweepResult(
    tasks=0, tracks=0, uploads=0, idempotency_keys=0, derived_files=0, blobs=0, abandoned_files=0
)


class Retention:
    """Deletes expired data. Several servers on one database may sweep at once; all else may run meanwhile."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        store: Store,
        clock: Clock = time.time,
        steady: Clock = steady_time,
    ) -> None:
        self._database = database
        self._settings = settings
        self._store = store
        self._clock = clock
        self._blobs = BlobRecords(database, clock)
        self._clock_check = ClockCheck(database, clock, steady)
        self._recorded_untracked_files = False
        self._lease = SweepLease(database, clock) if store.is_remote else None

    def sweep(self) -> SweepResult:
        """Deletes expired tasks (with stems and deliveries), tracks and uploads, then unreferenced and abandoned files.

        An unfinished task, or one with a callback due, does not expire, nor does its track. A file is deleted when no
        row has referred to it for an hour, a derived file a week after its last use. After a clock jump nothing is
        deleted until the clock has been steady for an hour. Of several servers on one object store one does all this,
        and the others delete their own temporary files.
        """
        if self._lease is not None and not self._lease.take():
            return replace(NOTHING_REMOVED, abandoned_files=self._store.sweep(ABANDONED_AFTER_S))
        self._record_untracked_files()
        if not self._clock_check.may_delete():
            return NOTHING_REMOVED
        swept = SweepResult(
            tasks=self._in_batches(self._delete_tasks),
            tracks=self._in_batches(self._delete_tracks),
            uploads=self._in_batches(self._delete_uploads),
            idempotency_keys=self._in_batches(self._delete_idempotency_keys),
            derived_files=self._in_batches(self._delete_derived_files),
            blobs=self._delete_blobs(),
            abandoned_files=self._store.sweep(ABANDONED_AFTER_S) + self._sweep_uploads(),
        )
        self._clock_check.record_sweep()
        return swept

    def stop(self) -> None:
        """Lets another server sweep."""
        if self._lease is not None:
            self._lease.give_back()

    def _sweep_uploads(self) -> int:
        try:
            return self._store.sweep_uploads(ABANDONED_AFTER_S)
        except StorageError as error:
            _log.warning("what broken uploads left could not be deleted; trying again later: %s", error)
            return 0

    def _in_batches(self, delete_some: Callable[[Session, float], int]) -> int:
        total = 0
        while True:
            deleted = self._delete_batch(delete_some)
            total += deleted
            if deleted < BATCH_ROWS:
                return total

    @retry_conflicts
    def _delete_batch(self, delete_some: Callable[[Session, float], int]) -> int:
        with self._database.write() as session:
            return delete_some(session, self._clock())

    @staticmethod
    def _delete_tasks(session: Session, now: float) -> int:
        due = select(tables.Delivery.id).where(
            tables.Delivery.task_id == tables.Task.id, tables.Delivery.state == "pending"
        )
        expired = select(tables.Task.id).where(
            tables.Task.expires_at <= now, tables.Task.state.not_in(ACTIVE_STATES), ~due.exists()
        )
        # Locked first, looked at again then: a replay may have come between. Others' sweeps take other rows.
        locked = session.scalars(expired.limit(BATCH_ROWS).with_for_update(skip_locked=True)).all()
        ids = session.scalars(expired.where(tables.Task.id.in_(locked))).all()
        blobs = session.scalars(select(tables.Stem.blob).where(tables.Stem.task_id.in_(ids))).all()
        start_grace_period(session, blobs, now)
        delete_renderings_of(session, ids, now)
        session.execute(delete(tables.Task).where(tables.Task.id.in_(ids)))  # stems and deliveries cascade
        return len(ids)

    @staticmethod
    def _delete_tracks(session: Session, now: float) -> int:
        needed = select(tables.Task.id).where(
            tables.Task.track_id == tables.Track.id,
            tables.Task.account_id == tables.Track.account_id,
            tables.Task.state.in_(ACTIVE_STATES),
        )
        expired = select(tables.Track).where(tables.Track.expires_at <= now, ~needed.exists())
        # Locked first, looked at again then: a new task may have come between.
        locked = session.scalars(expired.limit(BATCH_ROWS).with_for_update(skip_locked=True)).all()
        column = tuple_(tables.Track.id, tables.Track.account_id)
        rows = session.scalars(expired.where(column.in_([(row.id, row.account_id) for row in locked]))).all()
        start_grace_period(session, [row.blob for row in rows if row.blob], now)
        names = [(row.id, row.account_id) for row in rows]
        session.execute(delete(tables.Track).where(column.in_(names)))
        return len(rows)

    @staticmethod
    def _delete_uploads(session: Session, now: float) -> int:
        expired = select(tables.Upload).where(tables.Upload.expires_at <= now)
        rows = session.scalars(expired.limit(BATCH_ROWS).with_for_update(skip_locked=True)).all()
        start_grace_period(session, [row.blob for row in rows if row.blob], now)
        session.execute(delete(tables.Upload).where(tables.Upload.id.in_([row.id for row in rows])))
        return len(rows)

    @staticmethod
    def _delete_idempotency_keys(session: Session, _now: float) -> int:
        # A key lives as long as its task: a repeated request must never start and charge a second one.
        task = select(tables.Task.id).where(tables.Task.id == tables.IdempotencyKey.task_id)
        names = session.execute(
            select(tables.IdempotencyKey.account_id, tables.IdempotencyKey.key).where(~task.exists()).limit(BATCH_ROWS)
        ).all()
        columns = tuple_(tables.IdempotencyKey.account_id, tables.IdempotencyKey.key)
        session.execute(delete(tables.IdempotencyKey).where(columns.in_([tuple(name) for name in names])))
        return len(names)

    @staticmethod
    def _delete_derived_files(session: Session, now: float) -> int:
        table = tables.DerivedFile
        unused = select(table).where(table.used_at <= now - KEEP_UNUSED_S)
        rows = session.scalars(unused.limit(BATCH_ROWS).with_for_update(skip_locked=True)).all()
        start_grace_period(session, [row.blob for row in rows], now)
        for row in rows:
            session.delete(row)
        return len(rows)

    def _delete_blobs(self) -> int:
        with self._database.read() as session:
            digests = session.scalars(select(tables.Blob.digest).where(is_unreferenced(self._clock()))).all()
        deleted = 0
        for digest in digests:
            try:
                deleted += self._delete_blob(digest)
            except StoreUnreachable as error:  # each of the others would wait for it too, and hold a lock
                _log.warning("unused files cannot be deleted now; trying again later: %s", error)
                break
            except StorageError as error:
                _log.warning("an unused file could not be deleted; trying again later: %s", error)
        return deleted

    @retry_conflicts
    def _delete_blob(self, digest: str) -> bool:
        # The file is deleted under a lock. A writer of the same bytes records them first, so it waits: the new
        # file is stored after the old one is deleted. In any other order the new file could be deleted.
        with self._database.write() as session:
            session.get(tables.Blob, digest, with_for_update=True)  # before the check, which then sees its last change
            condition = (tables.Blob.digest == digest) & is_unreferenced(self._clock())
            if session.scalar(select(tables.Blob.digest).where(condition)) is None:
                return False
            self._store.delete(digest)
            for table in (tables.Peaks, tables.DerivedFile):
                computed = session.scalars(select(table.blob).where(table.source == digest)).all()
                start_grace_period(session, computed, self._clock())
                session.execute(delete(table).where(table.source == digest))
            session.execute(delete(tables.Blob).where(tables.Blob.digest == digest))
            return True

    def _record_untracked_files(self) -> None:
        """Records files unknown to the database, once per process: an older database may have been restored."""
        if self._recorded_untracked_files:
            return
        with self._database.read() as session:
            known = set(session.scalars(select(tables.Blob.digest)))
        for digest in self._store.digests():
            if digest not in known:
                self._blobs.record(StoredBlob(digest, self._store.size(digest)))
        self._recorded_untracked_files = True


class RetentionLoop:
    """Thread that sweeps at startup and at a fixed interval."""

    def __init__(self, retention: Retention, interval_s: float = SWEEP_INTERVAL_S) -> None:
        self._retention = retention
        self._interval_s = interval_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="retention", daemon=True)

    def start(self) -> None:
        """Starts the thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stops the thread and waits for a running sweep."""
        self._stopped.set()
        self._thread.join()
        try:
            self._retention.stop()
        except StorageError as error:
            _log.warning("another server sweeps in %.0f minutes only: %s", LEASE_S / 60, error)

    def _run(self) -> None:
        while not self._stopped.is_set():
            try:
                swept = self._retention.sweep()
                _log.info("swept: %s", swept)
            except Exception:  # the next sweep may succeed; without sweeps the disk fills up
                _log.exception("the sweep failed; the next one is in %.0f s", self._interval_s)
            self._stopped.wait(self._interval_s)
