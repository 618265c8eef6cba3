"""Queue for many machines: Procrastinate's jobs in PostgreSQL.

A task is a Procrastinate job, created by its function in the transaction that creates the task. Its id is the job's
``lock``, so that it runs once at a time. Account, plan and the token of the lease are in its arguments. Who may have it
next is decided by a function of our own on Procrastinate's table (migration 0008), since Procrastinate has neither turns of
accounts nor plans. A lease lasts as long as its worker's heartbeat in ``procrastinate_workers``: whoever asks for work
first returns the jobs of workers that have fallen silent. All times are the database's.
"""

from __future__ import annotations

import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Collection, Mapping
from typing import Any

from sqlalchemy import CursorResult, delete, insert, text
from sqlalchemy.orm import Session

import stemwright
from stemwright.database.engine import Database
from stemwright.database.tables import Worker
from stemwright.jobs.procrastinate_listener import ProcrastinateListener
from stemwright.jobs.queue import QUEUES, Abilities, Lease, Order, Queue

DEFER = text(
    """
    SELECT procrastinate_defer_jobs_v1(ARRAY[
        ROW(:queue, 'task', :priority, :task, :task, CAST(:arguments AS jsonb), NULL)::procrastinate_job_to_defer_v1
    ])
    """
)
FETCH = text(
    "SELECT * FROM stemwright_fetch_job_v1(CAST(:queues AS text[]), CAST(:plans AS text[]), :worker, :token, :silent_s)"
)
OF_TASK = "((status = 'todo' AND queueing_lock = :task) OR (status = 'doing' AND lock = :task))"
"""Each half is a unique index of Procrastinate's."""

OF_LEASE = "status = 'doing' AND lock = :task AND args ->> 'token' = :token"
FINISH = "SELECT procrastinate_finish_job_v1(id, 'succeeded', true) FROM procrastinate_jobs WHERE "
REMOVE = text(FINISH + OF_TASK)
COMPLETE = text(FINISH + OF_LEASE)
LOCK_LEASE = text(f"SELECT id FROM procrastinate_jobs WHERE {OF_LEASE} FOR UPDATE")
LOCK_TASK = text(f"SELECT id, status FROM procrastinate_jobs WHERE {OF_TASK} FOR UPDATE")
ABORT = text("SELECT procrastinate_cancel_job_v1(:id, true, false)")
EXTEND = text(
    f"""
    UPDATE procrastinate_workers SET last_heartbeat = clock_timestamp()
    WHERE id = (SELECT worker_id FROM procrastinate_jobs WHERE {OF_LEASE})
    """
)
RELEASE = text(
    f"""
    WITH released AS (
        UPDATE procrastinate_jobs
        SET status = 'todo', worker_id = NULL, abort_requested = false, args = args - 'token'
        WHERE {OF_LEASE} RETURNING queue_name, id
    )
    SELECT pg_notify('procrastinate_queue_v1#' || queue_name,
        json_build_object('type', 'job_inserted', 'job_id', id)::text) FROM released
    """
)
KEEP_ALIVE = text(
    """
    UPDATE procrastinate_workers SET last_heartbeat = clock_timestamp()
    WHERE id IN (SELECT id FROM workers WHERE name = ANY(CAST(:names AS text[])))
    """
)
IDS_BELOW = text("SELECT id FROM workers WHERE name = :name OR starts_with(name, :name || '/')")
RELEASE_WORKERS = text("SELECT task FROM stemwright_release_jobs_v1(CAST(:ids AS bigint[]), :attempts)")
REGISTER = text("SELECT worker_id FROM procrastinate_register_worker_v1()")
UNREGISTER = text("SELECT procrastinate_unregister_worker_v1(id) FROM unnest(CAST(:ids AS bigint[])) AS id")
DEPTH = text("SELECT count(*) FROM procrastinate_jobs WHERE status = 'todo' AND queue_name = ANY(:queues)")


class ProcrastinateQueue(Queue):
    """Queue in PostgreSQL. Order of tasks as in the embedded queue: the account with the fewest leases, then in turn;
    within an account by priority, then by age. A worker gets only tasks that it can do.

    Args:
        database: PostgreSQL.
        abilities: of this process, if it is a worker.
    """

    is_local = False
    poll_s = 1.0

    def __init__(self, database: Database, abilities: Abilities | None = None) -> None:
        self._database = database
        self._abilities = abilities or Abilities()
        self._statements = database.engine.execution_options(isolation_level="AUTOCOMMIT")
        self._ids: dict[str, int] = {}

    def enqueue(self, session: Session, order: Order) -> None:
        """See ``Queue``."""
        arguments = {"task": order.task_id, "account": order.account_id, "plan": order.plan}
        session.flush()
        session.execute(
            DEFER,
            {
                "queue": order.queue,
                "priority": order.priority,
                "task": order.task_id,
                "arguments": json.dumps(arguments),
            },
        )

    def remove(self, session: Session, task_id: str) -> None:
        """See ``Queue``."""
        session.execute(REMOVE, {"task": task_id})

    def holds(self, session: Session, task_id: str, token: str) -> bool:
        """See ``Queue``."""
        return session.execute(LOCK_LEASE, {"task": task_id, "token": token}).one_or_none() is not None

    def request_cancel(self, session: Session, task_id: str) -> bool:
        """See ``Queue``. Procrastinate's trigger notifies the listeners of the job's queue."""
        job = session.execute(LOCK_TASK, {"task": task_id}).one_or_none()
        if job is None or job.status != "doing":
            return False
        session.execute(ABORT, {"id": job.id})
        return True

    def listen(self, on_waiting: Callable[[], None], on_cancel: Callable[[str], None]) -> Callable[[], None]:
        """See ``Queue``."""
        listener = ProcrastinateListener(self._database, self._abilities.queues, on_waiting, on_cancel)
        threading.Thread(target=listener.run, name="queue", daemon=True).start()
        return listener.stop

    def claim(self, worker: str, lease_s: float) -> Lease | None:
        """See ``Queue``. One statement: no lock is left behind by a machine that is cut off."""
        token = uuid.uuid4().hex
        plans = self._abilities.plans
        for _ in range(2):
            known = self._ids.get(worker) or self._register(worker)
            found = self._execute(
                FETCH,
                {
                    "queues": list(self._abilities.queues),
                    "plans": None if plans is None else list(plans),
                    "worker": known,
                    "token": token,
                    "silent_s": lease_s,
                },
            )[0]
            if found.is_known:
                return None if found.task is None else Lease(found.task, token, found.attempt)
            del self._ids[worker]  # silent for too long, so it was removed: it comes back as a new one
        return None

    def extend(self, lease: Lease, lease_s: float) -> bool:
        """See ``Queue``."""
        with self._database.write() as session:
            extended = session.execute(EXTEND, {"task": lease.task_id, "token": lease.token})
            assert isinstance(extended, CursorResult)
            return extended.rowcount > 0

    def keep_alive(self, workers: Collection[str]) -> None:
        """See ``Queue``."""
        with self._database.write() as session:
            session.execute(KEEP_ALIVE, {"names": list(workers)})

    def release(self, lease: Lease) -> None:
        """See ``Queue``."""
        with self._database.write() as session:
            session.execute(RELEASE, {"task": lease.task_id, "token": lease.token})

    def complete(self, lease: Lease) -> None:
        """See ``Queue``."""
        with self._database.write() as session:
            session.execute(COMPLETE, {"task": lease.task_id, "token": lease.token})

    def release_worker(self, worker: str, *, counts: bool = True) -> list[str]:
        """See ``Queue``. The worker is no longer listed; if it lives, it registers again with its next claim."""
        self._ids.pop(worker, None)
        with self._database.write() as session:
            ids = list(session.scalars(IDS_BELOW, {"name": worker}))
            released = session.scalars(RELEASE_WORKERS, {"ids": ids, "attempts": int(counts)}).all()
            session.execute(delete(Worker).where(Worker.id.in_(ids)))
            session.execute(UNREGISTER, {"ids": ids})
            return list(released)

    def depth(self) -> int:
        """See ``Queue``."""
        with self._database.read() as session:
            return session.scalar(DEPTH, {"queues": list(QUEUES)}) or 0

    def _register(self, worker: str) -> int:
        abilities = self._abilities
        with self._database.write() as session:
            known = session.scalar(REGISTER)
            assert known is not None
            session.execute(delete(Worker).where(Worker.name == worker))
            session.execute(
                insert(Worker).values(
                    id=known,
                    name=worker,
                    host=socket.gethostname(),
                    pid=os.getpid(),
                    queues=",".join(abilities.queues),
                    plans=None if abilities.plans is None else ",".join(abilities.plans),
                    device=abilities.device,
                    memory_mb=abilities.memory_mb,
                    release=stemwright.__version__,
                    started_at=time.time(),
                )
            )
        self._ids[worker] = int(known)
        return int(known)

    def _execute(self, statement: Any, parameters: Mapping[str, Any]) -> list[Any]:
        with self._database.storage_errors(), self._statements.connect() as connection:
            return list(connection.execute(statement, parameters))
