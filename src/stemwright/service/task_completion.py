"""Ends a task: in one transaction, and only once."""

from __future__ import annotations

import time

from sqlalchemy import delete, update
from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.database.statements import changed_rows
from stemwright.jobs.queue import Queue
from stemwright.service.blobs import start_grace_period
from stemwright.service.clock import Clock
from stemwright.service.credit_ledger import Ledger
from stemwright.service.ids import new_id
from stemwright.service.task import ACTIVE_STATES, TaskState


class TaskCompletion:
    """Ends tasks: removes the task from the queue, refunds credits where due, and schedules the callback."""

    def __init__(self, queue: Queue, ledger: Ledger, clock: Clock = time.time) -> None:
        self._queue = queue
        self._ledger = ledger
        self._clock = clock

    def end(self, session: Session, row: tables.Task, state: TaskState) -> bool:
        """Ends a task in a transaction; returns False if it had already ended."""
        session.flush()
        ended = session.execute(
            update(tables.Task)
            .where(tables.Task.id == row.id, tables.Task.state.in_(ACTIVE_STATES))
            .values(state=state, ended_at=self._clock(), stage=None)
        )
        if not changed_rows(ended):
            return False
        session.refresh(row)
        self._queue.remove(session, row.id)
        parts = delete(tables.WorkingPart).where(tables.WorkingPart.task_id == row.id)
        start_grace_period(session, session.scalars(parts.returning(tables.WorkingPart.blob)).all(), self._clock())
        if state != "succeeded":
            self._ledger.refund(session, row.account_id, row.id)
        if row.callback_url:
            session.add(
                tables.Delivery(
                    id=new_id(),
                    account_id=row.account_id,
                    task_id=row.id,
                    attempt=1,
                    state="pending",
                    due_at=self._clock(),
                )
            )
        session.flush()
        return True
