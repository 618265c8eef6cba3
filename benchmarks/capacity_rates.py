"""Measures what one task costs the database: ``python -m benchmarks.capacity --measure``.

The database is the one of STEMWRIGHT_DATABASE_URL, else SQLite in a temporary folder; the tasks that are made in it are
of an account of their own. All threads are in one process, so a fast database is limited by this process, not by itself.
"""

from __future__ import annotations

import tempfile
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy

from stemwright.jobs.queue import Lease
from stemwright.service.ids import new_id
from stemwright.service.keys import Caller
from stemwright.service.service import Service
from stemwright.service.task import Stem, Submission
from stemwright.settings import read_settings
from stemwright.stems import STEMS
from stemwright.storage.store import StoredBlob

THREADS = 8
PROGRESS_REPORTS = 5
LEASE_S = 600.0


@dataclass(frozen=True)
class Rates:
    """What one database serves.

    Attributes:
        orders_per_s: submissions accepted: task, charge and place in the queue.
        leases_per_s: tasks given to workers; each lease is begun.
        ends_per_s: tasks leased, and ended with twelve stems after ``PROGRESS_REPORTS`` reports of progress.
        task_bytes: what an ended task keeps in the database.
    """

    orders_per_s: float
    leases_per_s: float
    ends_per_s: float
    task_bytes: float


def measure(tasks: int) -> tuple[str, Rates]:
    """The name of the database, and its rates over so many tasks."""
    with tempfile.TemporaryDirectory() as folder:
        service = Service.open(read_settings(data=Path(folder) / "data", rate_limit="0"))
        try:
            return service.database.engine.dialect.name, _measure(service, tasks)
        finally:
            service.close()


def _measure(service: Service, tasks: int) -> Rates:
    caller = service.keys.authenticate(service.keys.create(f"capacity-{new_id()[:8]}", credits_hundredths=10**9).key)
    with service.store.writer() as writer:
        writer.write(b"no song")
        blob = writer.commit()
    before = _size_bytes(service)
    orders_per_s = _per_second(tasks, lambda: _submit(service, caller, blob))
    leases: list[Lease] = []
    lock = threading.Lock()

    def lease() -> None:
        held = service.queue.claim(f"capacity/{threading.get_ident()}", LEASE_S)
        assert held is not None and service.worker_tasks.begin(held.task_id, held.token) is not None
        with lock:
            leases.append(held)

    leases_per_s = _per_second(tasks, lease)

    def end() -> None:
        with lock:
            held = leases.pop()
        for step in range(PROGRESS_REPORTS):
            service.worker_tasks.progress(held.task_id, held.token, "separating", step / PROGRESS_REPORTS)
        stems = [
            Stem(new_id(), name, place, blob.digest, "mp3", 5_000_000, 210.0, True, 0.9, -3.0, -20.0)
            for place, name in enumerate(STEMS)
        ]
        assert service.worker_tasks.succeed(held.task_id, held.token, stems, seconds=210.0, cache_key=None, facts={})

    ends_per_s = 1 / (1 / leases_per_s + 1 / _per_second(tasks, end))
    return Rates(orders_per_s, leases_per_s, ends_per_s, max(0.0, (_size_bytes(service) - before) / tasks))


def _submit(service: Service, caller: Caller, blob: StoredBlob) -> None:
    track = service.tracks.add_stored(caller.account_id, blob, title="song")
    service.tasks.submit(caller, Submission("native", "v1", "twelve", "fast", "mp3", track_id=track.id))


def _per_second(count: int, call: Callable[[], None]) -> float:
    """How often ``THREADS`` threads together do something in a second."""
    began = time.perf_counter()
    with ThreadPoolExecutor(THREADS) as pool:
        for done in [pool.submit(call) for _ in range(count)]:
            done.result()
    return count / (time.perf_counter() - began)


def _size_bytes(service: Service) -> int:
    """Size of all tables and their indexes."""
    query = "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()"
    if not service.database.is_sqlite:
        query = "SELECT pg_database_size(current_database())"
    with service.database.read() as session:
        return int(session.execute(sqlalchemy.text(query)).scalar_one())
