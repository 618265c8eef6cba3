"""Task operations for workers.

A worker proves with its lease token that it holds a task. A worker whose lease was given to another cannot change the
task any more.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.database.retry import retry_conflicts
from stemwright.jobs.queue import Queue
from stemwright.service.clock import Clock
from stemwright.service.task import ACTIVE_STATES, Stem, Task, load_task, task_from_row
from stemwright.service.task_completion import TaskCompletion

_log = structlog.stdlib.get_logger(__name__)


class WorkerTasks:
    """Operations on tasks that workers hold."""

    def __init__(self, database: Database, queue: Queue, completion: TaskCompletion, clock: Clock = time.time) -> None:
        self._database = database
        self._queue = queue
        self._completion = completion
        self._clock = clock

    @retry_conflicts
    def begin(self, task_id: str, token: str) -> Task | None:
        """Starts a task; None if it has ended or another worker holds it."""
        with self._database.write() as session:
            row = self._row_of_lease(session, task_id, token)
            if row is None:
                return None
            row.state, row.started_at = "running", row.started_at or self._clock()
            task = task_from_row(session, row)
        _log.info("task begun", task=task.id, plan=task.plan, waited_s=round(self._clock() - task.created_at, 3))
        return task

    @retry_conflicts
    def progress(self, task_id: str, token: str, stage: str, fraction: float | None) -> bool:
        """Records progress. Returns False if the worker should stop: task cancelled, or held by another worker."""
        with self._database.write() as session:
            row = self._row_of_lease(session, task_id, token)
            if row is None:
                return False
            # A second worker, or a second writing pass, starts again at 0: reported progress must not go back.
            row.stage, row.progress = stage, max(row.progress, fraction or 0.0)
            return not row.cancel_requested

    def is_cancelled(self, task_id: str) -> bool:
        """Whether cancellation was requested."""
        with self._database.read() as session:
            asked = session.scalar(select(tables.Task.cancel_requested).where(tables.Task.id == task_id))
            return bool(asked) or asked is None

    @retry_conflicts
    def succeed(
        self,
        task_id: str,
        token: str,
        stems: Sequence[Stem],
        *,
        seconds: float,
        cache_key: str | None,
        facts: dict[str, Any],
    ) -> bool:
        """Marks a task as succeeded. Returns False, without changes, if it has ended or another worker holds it."""
        with self._database.write() as session:
            row = self._row_of_lease(session, task_id, token)
            if row is None:
                return False
            row.seconds, row.facts, row.progress = seconds, facts, 1.0
            row.cache_key = row.cache_key if cache_key is None else cache_key
            track = session.get(tables.Track, (row.track_id, row.account_id))
            if track is not None:
                track.seconds = seconds  # measured, so more accurate than the headers
            session.add_all(
                tables.Stem(task_id=task_id, **{field.name: getattr(stem, field.name) for field in fields(Stem)})
                for stem in stems
            )
            has_ended = self._completion.end(session, row, "succeeded")
        if has_ended:
            _log.info("task succeeded", task=task_id, song_s=round(seconds, 3))
        return has_ended

    @retry_conflicts
    def fail(self, task_id: str, token: str | None, code: int, message: str) -> bool:
        """Marks a task as failed and refunds its credits. ``token=None`` ends it regardless of the lease."""
        with self._database.write() as session:
            row = self._row_of_lease(session, task_id, token)
            if row is None:
                return False
            row.error_code, row.error_message = code, message
            has_ended = self._completion.end(session, row, "failed")
        if has_ended:
            _log.info("task failed", task=task_id, code=code, reason=message)
        return has_ended

    @retry_conflicts
    def cancelled(self, task_id: str, token: str) -> bool:
        """Marks a task as cancelled after its worker has stopped."""
        with self._database.write() as session:
            row = self._row_of_lease(session, task_id, token)
            if row is None:
                return False
            has_ended = self._completion.end(session, row, "cancelled")
        if has_ended:
            _log.info("task cancelled", task=task_id)
        return has_ended

    def cached_result(self, cache_key: str, account_id: str | None) -> Task | None:
        """Returns a succeeded task with an equal cache key; its stems are the same.

        Args:
            cache_key: cache key of the current task.
            account_id: account to search; None: all accounts. The quick answer then shows that another account has
                separated the song before.
        """
        with self._database.read() as session:
            query = select(tables.Task.id).where(tables.Task.cache_key == cache_key, tables.Task.state == "succeeded")
            if account_id is not None:
                query = query.where(tables.Task.account_id == account_id)
            found = session.scalar(query.order_by(tables.Task.expires_at.desc()).limit(1))
            return load_task(session, found) if found else None

    def _row_of_lease(self, session: Session, task_id: str, token: str | None) -> tables.Task | None:
        # Locked: neither the state nor the lease can change before this transaction ends.
        row = session.get(tables.Task, task_id, with_for_update=True)
        if row is None or row.state not in ACTIVE_STATES:
            return None
        if token is None:
            return row
        return row if self._queue.holds(session, task_id, token) else None
