"""Tasks: separations and WAV conversions. Credits and state change together; SQL guards every state change."""

from __future__ import annotations

import time
from collections.abc import Collection

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.database.retry import retry_conflicts
from stemwright.jobs.queue import Queue
from stemwright.service.blobs import start_grace_period
from stemwright.service.clock import Clock
from stemwright.service.credit_ledger import Ledger
from stemwright.service.errors import Conflict, NotFound
from stemwright.service.failure_messages import SEPARATION_FAILED
from stemwright.service.fleet import Fleet
from stemwright.service.keys import Caller
from stemwright.service.rate_limits import RateLimiter
from stemwright.service.rendering import delete_renderings_of
from stemwright.service.submissions import Submissions
from stemwright.service.task import ACTIVE_STATES, Submission, Task, load_task, mark_of, task_from_row
from stemwright.service.task_completion import TaskCompletion
from stemwright.service.task_list import FIRST_PAGE, TaskQuery, list_tasks
from stemwright.service.tracks import Tracks
from stemwright.settings import Settings

IDS_PER_QUERY = 500
"""Maximum ids per query; SQLite's limit is 32,766."""


class Tasks:
    """All tasks. Every client query names its account."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        queue: Queue,
        ledger: Ledger,
        tracks: Tracks,
        rate_limiter: RateLimiter,
        completion: TaskCompletion,
        clock: Clock = time.time,
    ) -> None:
        self._database = database
        self._fleet = Fleet(database, settings)
        self._submissions = Submissions(database, settings, queue, ledger, tracks, rate_limiter, self._fleet, clock)
        self._tracks = tracks
        self._queue = queue
        self._completion = completion
        self._clock = clock

    def submit(self, caller: Caller, submission: Submission) -> Task:
        """Accepts a submission (``Submissions.submit``). One that no worker can run fails at once."""
        task = self._submissions.submit(caller, submission)
        if task.has_ended or task.is_wav or self._fleet.may_run(task.plan):
            return task
        return self._fail(task.id, f"No worker has the plan '{task.plan}' now: choose another one, or try again later.")

    @retry_conflicts
    def _fail(self, task_id: str, message: str) -> Task:
        with self._database.write() as session:
            row = session.get_one(tables.Task, task_id, with_for_update=True)
            row.error_code, row.error_message = SEPARATION_FAILED, message
            self._completion.end(session, row, "failed")
            return task_from_row(session, row)

    def get(self, account_id: str, task_id: str) -> Task | None:
        """Returns a task by id."""
        with self._database.read() as session:
            row = _own(session, account_id, task_id)
            return task_from_row(session, row) if row is not None else None

    def any(self, task_id: str) -> Task | None:
        """Returns a task of any account: for workers and callbacks."""
        with self._database.read() as session:
            return load_task(session, task_id)

    def marks(self, task_ids: Collection[str]) -> dict[str, str]:
        """Returns ``Task.mark`` for tasks of any account; unknown ids are omitted."""
        ids, found = list(task_ids), dict[str, str]()
        row = tables.Task
        with self._database.read() as session:
            for start in range(0, len(ids), IDS_PER_QUERY):
                query = select(row.id, row.state, row.stage, row.progress, row.cancel_requested)
                for task_id, state, stage, progress, cancel_requested in session.execute(
                    query.where(row.id.in_(ids[start : start + IDS_PER_QUERY]))
                ):
                    found[task_id] = mark_of(state, stage, progress, cancel_requested)
        return found

    def of_stem(self, account_id: str, stem_id: str) -> Task | None:
        """Returns the task that a stem belongs to."""
        with self._database.read() as session:
            query = select(tables.Task).join(tables.Stem, tables.Stem.task_id == tables.Task.id)
            row = session.scalar(query.where(tables.Stem.id == stem_id, tables.Task.account_id == account_id))
            return task_from_row(session, row) if row is not None else None

    def list(self, account_id: str, wanted: TaskQuery = FIRST_PAGE) -> list[Task]:
        """Returns a page of tasks.

        Raises:
            NotFound: the task after which the page starts no longer exists.
        """
        with self._database.read() as session:
            return list_tasks(session, account_id, wanted)

    @retry_conflicts
    def cancel(self, account_id: str, task_id: str) -> Task:
        """Cancels a task: a waiting task at once, a running task at its next chunk. An ended task is unchanged.

        Raises:
            NotFound: the account has no such task.
        """
        with self._database.write() as session:
            row = _own(session, account_id, task_id, lock=True)
            if row is None:
                raise NotFound("There is no task with this id.")
            if row.state in ACTIVE_STATES:
                if self._queue.request_cancel(session, task_id):
                    row.cancel_requested = True
                else:  # not held by a worker
                    self._completion.end(session, row, "cancelled")
            return task_from_row(session, row)

    @retry_conflicts
    def delete(self, account_id: str, task_id: str, *, with_track: bool = False) -> None:
        """Deletes an ended task and its stems; ``with_track`` also its track, unless another task needs it.

        Raises:
            NotFound: the account has no such task.
            Conflict: the task has not ended.
        """
        with self._database.write() as session:
            row = _own(session, account_id, task_id, lock=True)
            if row is None:
                raise NotFound("There is no task with this id.")
            if row.state in ACTIVE_STATES:
                raise Conflict("The task is under way: cancel it first.")
            session.execute(delete(tables.IdempotencyKey).where(tables.IdempotencyKey.task_id == task_id))
            stems = session.scalars(select(tables.Stem.blob).where(tables.Stem.task_id == task_id)).all()
            track_id = row.track_id
            delete_renderings_of(session, [task_id], self._clock())
            session.delete(row)
            session.flush()
            if with_track and track_id:
                self._tracks.delete_unused(session, account_id, track_id)
            start_grace_period(session, stems, self._clock())


def _own(session: Session, account_id: str, task_id: str, *, lock: bool = False) -> tables.Task | None:
    """Returns the account's task. One query checks both ids: timing must not reveal ids of other accounts.

    Args:
        session: of the transaction. account_id: the owner. task_id: of the task.
        lock: no other transaction changes the task until this one ends.
    """
    query = select(tables.Task).where(tables.Task.id == task_id, tables.Task.account_id == account_id)
    return session.scalar(query.with_for_update() if lock else query)
