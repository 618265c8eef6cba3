"""The renderings of separations: made when they are first asked for, and kept while they are used."""

from __future__ import annotations

import shutil
import time
from dataclasses import replace

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.database.retry import retry_conflicts
from stemwright.errors import StorageError
from stemwright.service.accounts import lock_account
from stemwright.service.clock import Clock
from stemwright.service.derived_files import USE_INTERVAL_S, DerivedFiles
from stemwright.service.errors import Conflict, InvalidRequest, NotFound, TooManyRunning
from stemwright.service.ids import new_id
from stemwright.service.preview_reader import PreviewReader
from stemwright.service.rendering import (
    MIX,
    RenderedFile,
    Rendering,
    delete_renderings,
    files_of,
    is_complete,
    is_file_at,
)
from stemwright.service.rendering_work import RenderingWork, WorkOrder, claim_end, database_time
from stemwright.service.storage_quota import check_quota
from stemwright.service.task import Task
from stemwright.settings import Settings
from stemwright.speed_and_key import SpeedAndKey
from stemwright.storage.local_copies import LocalCopies
from stemwright.storage.store import Store

MAX_SECONDS = 15 * 60
"""Of a song."""

MAX_UNDER_WAY = 4
"""Unfinished renderings of an account."""

INTERRUPTED = "The server was stopped while it made this: ask for it again."
ABSENT = "There is no rendering at this speed and key: PUT …/rendering makes it."


class Renderings:
    """Renderings by task, speed and key. Thread-safe; of several servers on one database, one makes a rendering."""

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
        self._clock = clock
        self._work = RenderingWork(database, settings, store, copies, derived_files, previews, clock)

    def start(self, task: Task, wanted: SpeedAndKey) -> Rendering:
        """Returns the rendering, which is made from now on unless it is there or being made. A failed one begins again.

        Raises:
            InvalidRequest: nothing would change.
            Conflict: the task has no stems, does not say how long they are, or they are too long.
            NotFound: the file of a stem is gone, or the task was deleted.
            TooManyRunning: the account has as many under way as it may.
            QuotaExceeded: the account keeps as much as it may.
            StorageError: the disk has no room for it.
        """
        from stemwright.service.stem_samples import check_stored, stem_length  # NumPy: memory that few servers need

        if wanted.changes_nothing:
            raise InvalidRequest("speed", "Speed 1 and 0 semitones are the stems as they are: nothing has to be made.")
        if task.state != "succeeded":
            raise Conflict(f"There are no stems: the separation is {task.state}.")
        length = stem_length(task)
        if length.samples > MAX_SECONDS * length.sample_rate:
            raise Conflict(f"Songs of up to {MAX_SECONDS // 60} minutes are made at another speed or in another key.")
        check_stored(task.stems, self._copies)
        found = self._find(task, wanted)
        is_lost = found is not None and found.state == "succeeded" and not self._has_files(task, wanted)
        if found is not None and found.state != "failed" and not is_lost:
            return found
        song = self._song(task)
        order = WorkOrder(new_id(), task, wanted, length.sample_rate, length.samples, song)
        if shutil.disk_usage(self._store.incoming).free < order.most_bytes:
            raise StorageError(f"No room is left in {self._store.incoming} for a rendering: free some space.")
        rendering, is_ours = self._claim(order, is_lost=is_lost)
        if is_ours:
            self._work.start(order)
        return rendering

    def get(self, task: Task, wanted: SpeedAndKey) -> Rendering:
        """Returns the rendering; raises NotFound."""
        found = self._find(task, wanted)
        if found is None:
            raise NotFound(ABSENT)
        return found

    def list(self, task: Task) -> list[Rendering]:
        """Returns all renderings of a task, oldest first."""
        with self._database.read() as session:
            table = tables.Rendering
            query = select(table).where(table.task_id == task.id).order_by(table.created_at, table.id)
            found = [self._rendering(session, task, row) for row in session.scalars(query)]
        return [rendering for rendering in found if rendering is not None]

    @retry_conflicts
    def delete(self, task: Task, wanted: SpeedAndKey) -> None:
        """Deletes a rendering, and stops it if it is being made; raises NotFound."""
        with self._database.write() as session:
            row = _row(session, task, wanted, lock=True)
            if row is None:
                raise NotFound(ABSENT)
            delete_renderings(session, [task.id], [row.id], self._clock())

    def task_at(self, task: Task, wanted: SpeedAndKey) -> Task:
        """Returns the task as if its stems were those of the rendering; their ids and names stay.

        Raises:
            NotFound: there is no such rendering.
            Conflict: it is not finished, or has failed.
        """
        rendering, files = self._finished(task, wanted)
        seconds = rendering.samples / rendering.sample_rate
        stems = []
        for stem in task.stems:
            file = files[stem.name]
            changed = {"blob": file.blob.digest, "size_bytes": file.blob.size_bytes, "format": file.format}
            stems.append(replace(stem, seconds=seconds, **changed))  # type: ignore[arg-type]  # they have these types
        facts = {**task.facts, "sample_rate": rendering.sample_rate, "samples": rendering.samples}
        return replace(task, stems=tuple(stems), format="flac", seconds=seconds, facts=facts)

    def song_at(self, task: Task, wanted: SpeedAndKey) -> str:
        """Returns the digest of the song in a rendering; errors as for ``task_at``, also if it was not stored then."""
        files = self._finished(task, wanted)[1]
        if MIX not in files:
            raise NotFound("The song is no longer stored; its stems are.")
        return files[MIX].blob.digest

    def close(self) -> None:
        """Stops what is being made."""
        self._work.close()

    def _find(self, task: Task, wanted: SpeedAndKey) -> Rendering | None:
        with self._database.read() as session:
            row = _row(session, task, wanted)
            return None if row is None else self._rendering(session, task, row)

    def _has_files(self, task: Task, wanted: SpeedAndKey) -> bool:
        """Whether the store has all files of a rendering."""
        with self._database.read() as session:
            row = _row(session, task, wanted)
            files = {} if row is None else files_of(session, task.id, row.id)
        return all(self._store.exists(file.blob.digest) for file in files.values())

    def _finished(self, task: Task, wanted: SpeedAndKey) -> tuple[Rendering, dict[str, RenderedFile]]:
        with self._database.read() as session:
            row = _row(session, task, wanted)
            rendering = None if row is None else self._rendering(session, task, row)
            if row is None or rendering is None:
                raise NotFound(ABSENT)
            files = files_of(session, task.id, row.id)
        if rendering.state == "running":
            raise Conflict("This speed and key is still being made: GET …/rendering says how far it is.")
        if rendering.state == "failed":
            raise Conflict(f"This speed and key could not be made. {rendering.error or ''}".strip())
        now = self._clock()
        if any(now - file.used_at > USE_INTERVAL_S for file in files.values()):
            table = tables.DerivedFile
            with self._database.write() as session:
                used = update(table).where(is_file_at([task.id], [row.id])).values(used_at=now)
                session.execute(used, execution_options={"synchronize_session": False})
        return rendering, files

    @retry_conflicts
    def _claim(self, order: WorkOrder, *, is_lost: bool) -> tuple[Rendering, bool]:
        """Adds the rendering, unless another request has: which of them there is, and whether it is ours to make.

        Args:
            order: what to add.
            is_lost: files of the one that is recorded are gone from the store.
        """
        task = order.task
        with self._database.write() as session:
            lock_account(session, task.account_id)
            if session.get(tables.Task, task.id, with_for_update={"read": True, "key_share": True}) is None:
                raise NotFound("There is no separation with this id.")
            row = _row(session, task, order.wanted)
            found = None if row is None else self._rendering(session, task, row)
            if found is not None and (found.state == "running" or (found.state == "succeeded" and not is_lost)):
                return found, False
            if row is not None:
                delete_renderings(session, [task.id], [row.id], self._clock())
            table, now = tables.Rendering, database_time(session, self._clock)
            under_way = (
                select(func.count())
                .select_from(table)
                .join(tables.Task, tables.Task.id == table.task_id)
                .where(tables.Task.account_id == task.account_id, table.state == "running", table.claimed_until > now)
            )
            if (session.scalar(under_way) or 0) >= MAX_UNDER_WAY:
                raise TooManyRunning(
                    f"This account has {MAX_UNDER_WAY} renderings under way, as many as it may: wait for one, or "
                    "delete one."
                )
            check_quota(session, self._settings, task.account_id, 1)
            row = table(
                id=order.id,
                task_id=task.id,
                speed=order.wanted.thousandths,
                transposition=order.wanted.cents,
                state="running",
                progress=0.0,
                sample_rate=order.sample_rate,
                samples=order.wanted.length(order.samples),
                created_at=self._clock(),
                claimed_until=claim_end(now),
            )
            session.add(row)
            session.flush()
            made = self._rendering(session, task, row)
            assert made is not None, "it is running"
            return made, True

    def _rendering(self, session: Session, task: Task, row: tables.Rendering) -> Rendering | None:
        """A row as a rendering; None if its files were deleted."""
        files = files_of(session, task.id, row.id) if row.state == "succeeded" else {}
        if row.state == "succeeded" and not is_complete(files, task):
            return None
        state, error = row.state, row.error
        if state == "running" and row.claimed_until <= database_time(session, self._clock):
            state, error = "failed", INTERRUPTED
        return Rendering(
            wanted=SpeedAndKey.from_integers(row.speed, row.transposition),
            state=state,  # type: ignore[arg-type]  # the table has no other values
            progress=row.progress,
            sample_rate=row.sample_rate,
            samples=row.samples,
            size_bytes=sum(file.blob.size_bytes for file in files.values()),
            created_at=row.created_at,
            error=error,
        )

    def _song(self, task: Task) -> str | None:
        """The digest of the song, if it is stored."""
        with self._database.read() as session:
            track = session.get(tables.Track, (task.track_id, task.account_id))
        return track.blob if track is not None and track.blob and self._store.exists(track.blob) else None


def _row(session: Session, task: Task, wanted: SpeedAndKey, *, lock: bool = False) -> tables.Rendering | None:
    table = tables.Rendering
    query = select(table).where(
        table.task_id == task.id, table.speed == wanted.thousandths, table.transposition == wanted.cents
    )
    return session.scalar(query.with_for_update() if lock else query)
