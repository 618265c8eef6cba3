"""Which queue a database has."""

from __future__ import annotations

import time
from collections.abc import Callable

from stemwright.database.engine import Database
from stemwright.jobs.embedded import EmbeddedQueue
from stemwright.jobs.queue import Abilities, Queue


def open_queue(database: Database, clock: Callable[[], float] = time.time, abilities: Abilities | None = None) -> Queue:
    """Opens the queue of a database: Procrastinate on PostgreSQL, leases in the jobs table on SQLite.

    Args:
        database: is migrated.
        clock: seconds since 1970, for SQLite; PostgreSQL has its own.
        abilities: of this process, if it is a worker.
    """
    if database.is_sqlite:
        return EmbeddedQueue(database, clock)
    from stemwright.jobs.procrastinate_queue import ProcrastinateQueue

    return ProcrastinateQueue(database, abilities)
