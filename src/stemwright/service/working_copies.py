"""Copies of a task's working files in the store, from which a worker on another machine goes on.

The files of a step only grow (``separation.working_files``). So each copy adds what is new since the last one, and one
transaction makes it valid: rows that name the new parts. It is made between two chunks, when the state that is on the disk
agrees with the rows.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy import delete, select

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.database.statements import upsert
from stemwright.errors import StorageError
from stemwright.jobs.queue import Lease, Queue
from stemwright.service.blobs import start_grace_period
from stemwright.service.clock import Clock
from stemwright.storage.blob import PIECE_BYTES, BlobMissing, StoredBlob
from stemwright.storage.store import Store

GROWING_FILES = ("outputs", "levels")
"""All other files are small and replaced as a whole."""

logger = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class Part:
    """A piece of a working file.

    Attributes:
        path: of the file within the working folder; start: its first byte there.
        blob: digest of the stored piece; size_bytes: its length.
    """

    path: str
    start: int
    blob: str
    size_bytes: int


class WorkingCopies:
    """Records of the copies of all tasks. Thread-safe."""

    def __init__(self, database: Database, queue: Queue, store: Store, clock: Clock = time.time) -> None:
        self._database = database
        self._queue = queue
        self._store = store
        self._clock = clock

    def parts(self, task_id: str) -> list[Part]:
        """Returns the parts of a task's copy, in the order in which they are joined."""
        row = tables.WorkingPart
        with self._database.read() as session:
            rows = session.scalars(select(row).where(row.task_id == task_id).order_by(row.path, row.start)).all()
            return [Part(each.path, each.start, each.blob, each.size_bytes) for each in rows]

    def add(self, lease: Lease, parts: list[Part], *, replace: bool) -> bool:
        """Adds parts to the copy of a task; False, without changes, if another worker holds the task.

        Args:
            lease: of the task.
            parts: are stored.
            replace: they are the whole copy, in place of the former one.
        """
        row = tables.WorkingPart
        with self._database.write() as session:
            if not self._queue.holds(session, lease.task_id, lease.token):
                return False
            if replace:
                former = session.scalars(select(row.blob).where(row.task_id == lease.task_id)).all()
                session.execute(delete(row).where(row.task_id == lease.task_id))
                start_grace_period(session, former, self._clock())
            for part in parts:
                upsert(
                    session,
                    row,
                    task_id=lease.task_id,
                    path=part.path,
                    start=part.start,
                    blob=part.blob,
                    size_bytes=part.size_bytes,
                )
            return True

    def read(self, part: Part) -> Iterator[bytes]:
        """Reads a stored part."""
        return iter(self._store.read(part.blob))

    def store(self, pieces: Iterator[bytes]) -> StoredBlob:
        """Stores a part."""
        with self._store.writer() as writer:
            for piece in pieces:
                writer.write(piece)
            return writer.commit()


class WorkingCopy:
    """The copy of the task that a worker has in hand.

    Args:
        copies: where it is recorded.
        lease: of the task.
        folder: the working folder of the separation.
        interval_s: seconds between two copies.
        steady: seconds of a monotonic clock.
    """

    def __init__(
        self,
        copies: WorkingCopies,
        lease: Lease,
        folder: Path,
        interval_s: float,
        steady: Callable[[], float] = time.monotonic,
    ) -> None:
        self._copies = copies
        self._lease = lease
        self._folder = folder
        self._interval_s = interval_s
        self._steady = steady
        self._saved_at = steady()
        self._saved: dict[str, int | bytes] = {}  # length of a growing file, content of any other
        self._replaces = False

    def restore(self) -> None:
        """Fetches the working files of the worker before, unless this machine has come further itself."""
        parts = self._copies.parts(self._lease.task_id)
        copied = sum(part.size_bytes for part in parts if _grows(Path(part.path)))
        here = sum(path.stat().st_size for path in self._files() if _grows(path))
        self._replaces = True
        if not parts or here >= copied:
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        try:
            for part in parts:
                self._restore(part)
        except BlobMissing:
            logger.warning("the copy of the working files is incomplete; the task begins anew")
            shutil.rmtree(self._folder, ignore_errors=True)
            self._saved.clear()
            return
        self._replaces = False
        logger.info("working files fetched", size_bytes=copied)

    def save_if_due(self, *, at_once: bool = False) -> None:
        """Adds what is new to the copy, if the interval has passed, or at once. Call it between two chunks.

        A failure is logged, and the separation goes on: the copy only saves work.
        """
        if not at_once and self._steady() - self._saved_at < self._interval_s:
            return
        try:
            self._save()
        except (StorageError, OSError) as error:
            logger.warning("the working files could not be copied; trying again later", reason=str(error))
        self._saved_at = self._steady()

    def _save(self) -> None:
        parts, saved = [], dict[str, int | bytes]()
        for file in self._files():
            path = file.relative_to(self._folder).as_posix()
            before = None if self._replaces else self._saved.get(path)
            if _grows(file):
                start, size = before if isinstance(before, int) else 0, file.stat().st_size
                if size > start:
                    blob = self._copies.store(_pieces(file, start, size))
                    parts.append(Part(path, start, blob.digest, blob.size_bytes))
                saved[path] = size
            else:
                content = file.read_bytes()
                if content != before:
                    blob = self._copies.store(iter([content]))
                    parts.append(Part(path, 0, blob.digest, blob.size_bytes))
                saved[path] = content
        if parts and self._copies.add(self._lease, parts, replace=self._replaces):
            self._saved, self._replaces = saved, False

    def _restore(self, part: Part) -> None:
        file = self._folder / part.path
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("r+b" if file.exists() else "wb") as output:
            output.seek(part.start)
            for piece in self._copies.read(part):
                output.write(piece)
        self._saved[part.path] = part.start + part.size_bytes if _grows(file) else file.read_bytes()

    def _files(self) -> list[Path]:
        """The files that a resume needs: not the lock, and no finished stems."""
        found = [*self._folder.glob("*.json"), *self._folder.glob("*/state.json")]
        return sorted([*found, *(path for name in GROWING_FILES for path in self._folder.glob(f"*/{name}"))])


def _grows(file: Path) -> bool:
    return file.name in GROWING_FILES


def _pieces(file: Path, start: int, stop: int) -> Iterator[bytes]:
    with file.open("rb") as source:
        source.seek(start)
        while start < stop:
            piece = source.read(min(PIECE_BYTES, stop - start))
            if not piece:
                return
            start += len(piece)
            yield piece
