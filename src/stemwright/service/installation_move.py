"""Carries an embedded installation, SQLite and its files, over to PostgreSQL and another store.

First the files, each checked by its digest; those that are there already are left out, so a move that was killed goes
on. Then all rows in one transaction, which ends only if what the target has is what the source has.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection, Table, func, select, text
from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.database.procrastinate_schema import VERSION_FACT
from stemwright.database.schema import READABLE_FROM
from stemwright.errors import StorageError, UsageError
from stemwright.formatting import counted
from stemwright.jobs.queue import Queue
from stemwright.service.table_copy import copy_rows, set_sequences, table_digest
from stemwright.service.task import order_of
from stemwright.storage.store import Store

SOURCE_ID = "installation"
"""Name of the fact with the id of an installation, made at its first move."""

MOVED_FROM = "moved_from"
"""Name of the fact with the id of the installation that the target was moved from."""

NOT_COPIED = tuple(table.__tablename__ for table in (tables.Fact, tables.Job, tables.RateEvent, tables.Worker))
"""Facts are copied apart; jobs are queued anew, by the target's queue; rates begin at zero."""

OWN_FACTS = (READABLE_FROM, VERSION_FACT)
"""Facts about a database itself."""

ADVISORY_LOCK = 0x57E3_0002

Report = Callable[[str, int, int], None]
"""Told what is copied, how many are done, and how many there are."""


@dataclass(frozen=True)
class Moved:
    """What the target has now.

    Attributes:
        rows: of all tables.
        files: in its store; copied: those of them that this run has copied.
        missing: files that the source's database names and its store has not got.
        queued: unfinished tasks, which are in the target's queue.
    """

    rows: int
    files: int
    copied: int
    missing: int
    queued: int


class InstallationMove:
    """One move. The source stays as it is; nobody may use it or the target meanwhile."""

    def __init__(
        self, source: Database, target: Database, source_store: Store, target_store: Store | None, queue: Queue
    ) -> None:
        """Args: target_store: None where the files stay in place. queue: of the target."""
        self._source = source
        self._target = target
        self._source_store = source_store
        self._target_store = target_store
        self._queue = queue

    def run(self, report: Report) -> Moved:
        """Moves all.

        Raises:
            UsageError: the target is no empty PostgreSQL database, or is in use.
            StorageError: something could not be read or written, or did not arrive as it was.
        """
        if self._target.is_sqlite:
            raise UsageError(
                "STEMWRIGHT_DATABASE_URL names no PostgreSQL database to move to: set it to "
                "postgresql://USER:PASSWORD@HOST/DATABASE."
            )
        self._target.migrate()
        source_id = self._source_id()
        with self._target.write() as session:
            self._check_target(session, source_id)
        copied, missing = self._copy_files(report)
        with self._source.read() as reading, self._target.write() as writing:
            is_done = self._check_target(writing, source_id)
            if not is_done:
                _copy_facts(reading, writing)
                self._copy_tables(reading.connection(), writing.connection(), report)
                _compare(reading.connection(), writing.connection())
                self._queue_unfinished(reading, writing)
                writing.add(tables.Fact(name=MOVED_FROM, value=source_id))
            rows = sum(writing.scalar(select(func.count()).select_from(table)) or 0 for table in _copied_tables())
            queued = writing.scalar(select(func.count()).where(tables.Task.state.in_(("pending", "running")))) or 0
            files = writing.scalar(select(func.count()).select_from(tables.Blob)) or 0
        return Moved(rows, files - missing, copied, missing, queued)

    def _source_id(self) -> str:
        with self._source.write() as session:
            fact = session.get(tables.Fact, SOURCE_ID)
            if fact is None:
                fact = tables.Fact(name=SOURCE_ID, value=uuid.uuid4().hex)
                session.add(fact)
            return fact.value

    def _check_target(self, session: Session, source_id: str) -> bool:
        """Whether the rows are there already, from an earlier run."""
        is_alone = session.scalar(text("SELECT pg_try_advisory_xact_lock(:lock)"), {"lock": ADVISORY_LOCK})
        others = session.scalar(
            text(
                "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
                "AND application_name = 'stemwright' AND pid <> pg_backend_pid()"
            )
        )
        if not is_alone or others:
            raise UsageError(f"{self._target.name} is in use: stop all servers, workers and other moves on it first.")
        moved = session.get(tables.Fact, MOVED_FROM)
        if moved is not None and moved.value == source_id:
            return True
        for table in tables.Base.metadata.sorted_tables:
            query = select(func.count()).select_from(table)
            if table.name == tables.Fact.__tablename__:
                query = query.where(tables.Fact.name.not_in(OWN_FACTS))
            if count := session.scalar(query):
                raise UsageError(
                    f"{self._target.name} is not empty, its table {table.name} has {counted(count, 'row')}: name a new "
                    "database in STEMWRIGHT_DATABASE_URL (createdb makes one)."
                )
        return False

    def _copy_files(self, report: Report) -> tuple[int, int]:
        """Copies all files that the source's database names; returns how many were copied, and are missing."""
        with self._source.read() as session:
            blobs = session.execute(select(tables.Blob.digest, tables.Blob.size_bytes)).all()
        copied = missing = 0
        for number, (digest, size_bytes) in enumerate(blobs, 1):
            if not self._source_store.exists(digest):
                missing += 1
            elif self._target_store is not None and not _has(self._target_store, digest, size_bytes):
                self._copy_file(self._target_store, digest)
                copied += 1
            report("files", number, len(blobs))
        return copied, missing

    def _copy_file(self, target: Store, digest: str) -> None:
        with target.writer() as writer:
            for piece in self._source_store.read(digest):
                writer.write(piece)
            if (blob := writer.commit()).digest != digest:
                target.delete(blob.digest)
                raise StorageError(
                    f"The file {digest} is damaged, its content has another digest: restore it from a backup, or delete "
                    "it from the source's files."
                )

    def _copy_tables(self, source: Connection, target: Connection, report: Report) -> None:
        for table in _copied_tables():
            total = source.scalar(select(func.count()).select_from(table)) or 0
            for count in copy_rows(source, target, table):
                report(table.name, count, total)
            set_sequences(target, table)

    def _queue_unfinished(self, source: Session, target: Session) -> None:
        query = select(tables.Job, tables.Task).join(tables.Task, tables.Task.id == tables.Job.task_id)
        for job, task in source.execute(query.order_by(tables.Job.queued_at)):
            self._queue.enqueue(target, order_of(task, job.priority))


def _compare(source: Connection, target: Connection) -> None:
    for table in _copied_tables():
        before, after = table_digest(source, table), table_digest(target, table)
        if before != after:
            raise StorageError(
                f"The table {table.name} did not arrive as it was ({before.rows} and {after.rows} rows): nothing was "
                "kept; run the command again, and report it if it happens again."
            )


def _copy_facts(source: Session, target: Session) -> None:
    for fact in source.scalars(select(tables.Fact).where(tables.Fact.name.not_in(OWN_FACTS))):
        target.add(tables.Fact(name=fact.name, value=fact.value))
    target.flush()


def _copied_tables() -> list[Table]:
    return [table for table in tables.Base.metadata.sorted_tables if table.name not in NOT_COPIED]


def _has(store: Store, digest: str, size_bytes: int) -> bool:
    return store.exists(digest) and store.size(digest) == size_bytes
