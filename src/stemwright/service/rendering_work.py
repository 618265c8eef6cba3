"""Makes one rendering after another, in threads that wait for the process which does the work."""

from __future__ import annotations

import threading
import time
import uuid
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import structlog
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.database.retry import retry_conflicts
from stemwright.database.statements import changed_rows
from stemwright.errors import CancelledError, StemwrightError, StorageError
from stemwright.service.accounts import lock_account
from stemwright.service.clock import Clock
from stemwright.service.derived_files import DerivedFiles
from stemwright.service.due_callbacks import DATABASE_NOW
from stemwright.service.preview_reader import PreviewReader
from stemwright.service.rendering import MIX, kind_of
from stemwright.service.storage_quota import check_quota
from stemwright.service.task import Task
from stemwright.settings import Settings
from stemwright.speed_and_key import SpeedAndKey
from stemwright.storage.local_copies import LocalCopies
from stemwright.storage.store import Store, StoredBlob

CLAIM_S = 60.0
"""How long after its last word a server that makes a rendering is taken to be gone."""

NOTE_INTERVAL_S = 0.5
"""Seconds between two records of the progress."""

WAIT_S = CLAIM_S / 4

SILENCE = "silence"
SAMPLE_BYTES = 3

NO_ROOM = "The server has no room for it now. Please try again later."
FAULT = "The server failed; its log says why. Please try again later."

_log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class WorkOrder:
    """What is to be made: the id of the rendering, and the facts of the stems; ``song`` is a digest, if it is stored."""

    id: str
    task: Task
    wanted: SpeedAndKey
    sample_rate: int
    samples: int
    song: str | None

    @property
    def channels(self) -> int:
        """Of each stem."""
        return 1 if self.task.facts.get("channels") == 1 else 2

    @property
    def playing(self) -> dict[str, str]:
        """Digests of what has to be read, by name: absent stems are silent."""
        stems = {stem.name: stem.blob for stem in self.task.stems if stem.present}
        return stems if self.song is None else {**stems, MIX: self.song}

    @property
    def most_bytes(self) -> int:
        """What the files can take, as far as they stay below full scale."""
        n_files = len(self.playing) + 1
        return n_files * self.channels * self.wanted.length(self.samples) * SAMPLE_BYTES


@dataclass(frozen=True)
class _Part:
    """A finished file."""

    blob: StoredBlob
    format: str


class RenderingWork:
    """Works on one rendering at a time; others wait. Its progress is in the database, for all servers."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        store: Store,
        copies: LocalCopies,
        derived_files: DerivedFiles,
        previews: PreviewReader,
        clock: Clock = time.time,
    ) -> None:
        self._database = database
        self._settings = settings
        self._store = store
        self._copies = copies
        self._derived_files = derived_files
        self._previews = previews
        self._clock = clock
        self._turn = threading.Lock()
        self._closing = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self, order: WorkOrder) -> None:
        """Makes a rendering that is claimed, in a thread."""
        self._threads = [thread for thread in self._threads if thread.is_alive()]
        thread = threading.Thread(target=self._run, args=(order,), name="rendering", daemon=True)
        self._threads.append(thread)
        thread.start()

    def close(self) -> None:
        """Stops the work; another server, or the next start, may begin it again."""
        self._closing.set()
        self._previews.stop_rendering()
        for thread in self._threads:
            thread.join()

    def _run(self, order: WorkOrder) -> None:
        structlog.contextvars.bind_contextvars(task=order.task.id)
        try:
            self._wait_for_turn(order.id)
            try:
                self._finish(order, self._make(order))
            finally:
                self._turn.release()
        except CancelledError:
            self._end(order.id, claimed_until=0.0)
        except Exception as error:
            if self._closing.is_set():
                self._end(order.id, claimed_until=0.0)
                return
            if not isinstance(error, StemwrightError):
                _log.exception("a rendering failed")
            elif isinstance(error, StorageError):
                _log.error("storage", problem=str(error))  # only here: the sentence names folders
            message = NO_ROOM if isinstance(error, StorageError) else str(error)
            self._end(order.id, state="failed", error=message if isinstance(error, StemwrightError) else FAULT)

    def _wait_for_turn(self, rendering_id: str) -> None:
        while not self._turn.acquire(timeout=WAIT_S):
            self._note(rendering_id, 0.0)

    def _make(self, order: WorkOrder) -> dict[str, _Part]:
        """The files by the names of stems, and ``MIX``."""
        from stemwright.audio.rendering import Part  # NumPy: memory that few servers need

        told_at = 0.0

        def tell(share: float) -> None:
            nonlocal told_at
            if time.monotonic() - told_at >= NOTE_INTERVAL_S:
                self._note(order.id, share)
                told_at = time.monotonic()

        absent = [stem.name for stem in order.task.stems if not stem.present]
        names = [*order.playing, *([SILENCE] if absent else [])]
        outs = {name: self._store.incoming / uuid.uuid4().hex for name in names}
        try:
            with ExitStack() as files:
                sources = {name: files.enter_context(self._copies.file(blob)) for name, blob in order.playing.items()}
                formats = self._previews.render(
                    [Part(sources.get(name), out, name) for name, out in outs.items()],
                    sample_rate=order.sample_rate,
                    channels=order.channels,
                    samples=order.samples,
                    wanted=order.wanted,
                    on_progress=tell,
                )
            made = {}
            for name, fmt in zip(names, formats, strict=True):
                self._note(order.id, 1.0)  # an object store may take long
                made[name] = _Part(self._store.put_file(outs[name]), fmt)
        finally:
            for out in outs.values():
                _remove(out)
        for name in absent:
            made[name] = made[SILENCE]
        return made

    @retry_conflicts
    def _finish(self, order: WorkOrder, parts: dict[str, _Part]) -> None:
        """Records the files, or nothing if the rendering is no longer wanted or the quota is exceeded."""
        sources = {stem.name: stem.blob for stem in order.task.stems}
        first = order.task.stems[0].blob  # the song's own file may be kept longer than the separation
        with self._database.write() as session:
            lock_account(session, order.task.account_id)
            row = session.get(tables.Rendering, order.id, with_for_update=True)
            if row is None:
                raise CancelledError("The rendering was deleted.")
            for name, part in sorted(parts.items(), key=lambda item: sources.get(item[0], first)):
                if name != SILENCE:
                    kind = kind_of(order.id, name, part.format)
                    self._derived_files.add(session, sources.get(name, first), kind, part.blob)
            row.state, row.progress = "succeeded", 1.0
            session.flush()
            check_quota(session, self._settings, order.task.account_id)

    def _note(self, rendering_id: str, progress: float) -> None:
        """Records the progress; raises CancelledError if the rendering is no longer wanted."""
        if self._closing.is_set() or not self._update(rendering_id, progress=progress):
            raise CancelledError("The rendering was stopped.")

    def _end(self, rendering_id: str, **values: object) -> None:
        try:
            self._update(rendering_id, **values)
        except StorageError as error:  # the claim ends by itself
            _log.error("storage", problem=str(error))

    @retry_conflicts
    def _update(self, rendering_id: str, **values: object) -> bool:
        table = tables.Rendering
        with self._database.write() as session:
            claimed = {"claimed_until": claim_end(database_time(session, self._clock))}
            running = update(table).where(table.id == rendering_id, table.state == "running")
            return changed_rows(session.execute(running.values(**{**claimed, **values}))) > 0


def database_time(session: Session, clock: Clock) -> float:
    """Seconds since 1970 by the clock that all servers on a database share."""
    if session.get_bind().dialect.name == "sqlite":
        return clock()
    return float(session.scalar(select(DATABASE_NOW)) or 0.0)


def claim_end(now: float) -> float:
    """When a claim that is made or renewed now ends."""
    return now + CLAIM_S


def _remove(path: Path) -> None:
    for left in (path, path.with_name(f"{path.name}.flac")):
        left.unlink(missing_ok=True)
