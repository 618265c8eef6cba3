"""Queue for one machine: leases in the jobs table, without a separate queue server."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Collection

from sqlalchemy import ColumnElement, Select, delete, func, or_, select, update
from sqlalchemy.orm import Session, aliased

from stemwright.database.engine import Database
from stemwright.database.statements import insert_if_missing
from stemwright.database.tables import Fact, Job
from stemwright.jobs.queue import Lease, Order, Queue

LAST_ACCOUNT = "queue_turn"
"""Name of the fact that holds the account with the last lease."""


class EmbeddedQueue(Queue):
    """Queue in the server's own database. Order of tasks:

    First by account: fewest leases first; among equals round-robin by id, starting after the account with the last
    lease. So an account with a thousand tasks delays another account's first task by only one task. Then by priority,
    which therefore orders tasks only within an account. Then by age.
    """

    is_local = True
    poll_s = 0.25

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock

    def enqueue(self, session: Session, order: Order) -> None:
        """See ``Queue``."""
        session.add(
            Job(
                task_id=order.task_id,
                account_id=order.account_id,
                priority=order.priority,
                queued_at=self._clock(),
                attempts=0,
            )
        )
        session.flush()

    def remove(self, session: Session, task_id: str) -> None:
        """See ``Queue``."""
        session.execute(delete(Job).where(Job.task_id == task_id))

    def holds(self, session: Session, task_id: str, token: str) -> bool:
        """See ``Queue``."""
        job = session.get(Job, task_id)
        return job is not None and job.token == token

    def request_cancel(self, session: Session, task_id: str) -> bool:
        """See ``Queue``. The worker finds out with its next report of progress."""
        job = session.get(Job, task_id)
        return job is not None and job.leased_by is not None

    def listen(self, on_waiting: Callable[[], None], on_cancel: Callable[[str], None]) -> Callable[[], None]:
        """See ``Queue``."""
        return lambda: None

    def keep_alive(self, workers: Collection[str]) -> None:
        """See ``Queue``. A supervisor on the same machine knows who is alive."""

    def claim(self, worker: str, lease_s: float) -> Lease | None:
        """See ``Queue``."""
        if not self._has_waiting():
            return None
        now = self._clock()
        token = uuid.uuid4().hex
        with self._database.write() as session:
            # Locked: where several servers use the database, one claim at a time.
            insert_if_missing(session, Fact, name=LAST_ACCOUNT, value="")
            turn = session.get_one(Fact, LAST_ACCOUNT, with_for_update=True)
            taken = session.execute(
                update(Job)
                .where(Job.task_id == _next_task_id(now, turn.value).scalar_subquery())
                .values(leased_by=worker, leased_until=now + lease_s, token=token, attempts=Job.attempts + 1)
                .returning(Job.task_id, Job.account_id, Job.attempts)
                .execution_options(synchronize_session=False)
            ).one_or_none()
            if taken is None:
                return None
            turn.value = taken.account_id
        return Lease(taken.task_id, token, taken.attempts)

    def extend(self, lease: Lease, lease_s: float) -> bool:
        """See ``Queue``."""
        with self._database.write() as session:
            held = session.execute(
                update(Job).where(*_is_lease(lease)).values(leased_until=self._clock() + lease_s).returning(Job.task_id)
            )
            return held.one_or_none() is not None

    def release(self, lease: Lease) -> None:
        """See ``Queue``."""
        with self._database.write() as session:
            session.execute(
                update(Job)
                .where(*_is_lease(lease))
                .values(leased_by=None, leased_until=None, token=None, attempts=Job.attempts - 1)
            )

    def complete(self, lease: Lease) -> None:
        """See ``Queue``."""
        with self._database.write() as session:
            session.execute(delete(Job).where(*_is_lease(lease)))

    def release_worker(self, worker: str, *, counts: bool = True) -> list[str]:
        """See ``Queue``."""
        below = Job.leased_by.startswith(f"{worker}/", autoescape=True)
        with self._database.write() as session:
            released = session.execute(
                update(Job)
                .where(or_(Job.leased_by == worker, below))
                .values(
                    leased_by=None,
                    leased_until=None,
                    token=None,
                    attempts=Job.attempts if counts else Job.attempts - 1,
                )
                .returning(Job.task_id)
                .execution_options(synchronize_session=False)
            )
            return list(released.scalars())

    def depth(self) -> int:
        """See ``Queue``."""
        with self._database.read() as session:
            return session.scalar(select(func.count()).where(_is_waiting(self._clock()))) or 0

    def _has_waiting(self) -> bool:
        """Whether a task is waiting. Idle workers poll often and must not take the write lock each time."""
        with self._database.read() as session:
            return session.scalar(select(Job.task_id).where(_is_waiting(self._clock())).limit(1)) is not None


def _is_lease(lease: Lease) -> tuple[ColumnElement[bool], ...]:
    return Job.task_id == lease.task_id, Job.token == lease.token


def _is_waiting(now: float) -> ColumnElement[bool]:
    """Never leased, released, or the lease has expired."""
    return or_(Job.leased_by.is_(None), Job.leased_until <= now)


def _next_task_id(now: float, turn: str) -> Select[str]:
    holder = aliased(Job)
    held = (
        select(holder.account_id, func.count().label("leases"))
        .where(holder.leased_by > "", holder.leased_until > now)
        .group_by(holder.account_id)
        .subquery()
    )
    return (
        select(Job.task_id)
        .outerjoin(held, held.c.account_id == Job.account_id)
        .where(_is_waiting(now))
        .order_by(
            func.coalesce(held.c.leases, 0),
            Job.account_id <= turn,
            Job.account_id,
            Job.priority.desc(),
            Job.queued_at,
            Job.task_id,
        )
        .limit(1)
    )
