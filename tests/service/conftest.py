"""The domain without HTTP, on a database in a temporary folder and a clock that the test moves."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from sqlalchemy import text

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.jobs.open_queue import open_queue
from stemwright.jobs.queue import Lease, Queue
from stemwright.service.accounts import Accounts
from stemwright.service.credit_ledger import Ledger
from stemwright.service.ids import new_id
from stemwright.service.keys import Caller, Keys
from stemwright.service.rate_limits import MemoryRateLimiter
from stemwright.service.task import Stem, Submission, Task
from stemwright.service.task_completion import TaskCompletion
from stemwright.service.tasks import Tasks
from stemwright.service.tracks import Tracks
from stemwright.service.worker_tasks import WorkerTasks
from stemwright.settings import Settings, read_settings


class MovableClock:
    """Seconds since 1970, as the test says."""

    def __init__(self) -> None:
        self.now = 1_780_000_000.0

    def __call__(self) -> float:
        return self.now


ORDER = Submission(
    face="kie",
    kind="separate_vocal",
    stems="two",
    plan="fast",
    format="mp3",
    source_url="https://example.org/song.mp3",
    callback_url="https://example.org/hook",
)


@dataclass(frozen=True)
class Domain:
    settings: Settings
    clock: MovableClock
    database: Database
    queue: Queue
    accounts: Accounts
    keys: Keys
    ledger: Ledger
    tracks: Tracks
    tasks: Tasks
    work: WorkerTasks

    def caller(self, name: str = "alice", credits: float | None = None) -> Caller:
        made = self.keys.create(name, credits_hundredths=None if credits is None else round(100 * credits))
        return self.keys.authenticate(made.key)

    def submit(self, caller: Caller, **changes: object) -> Task:
        return self.tasks.submit(caller, replace(ORDER, **changes))  # type: ignore[arg-type]

    def hold(self, worker: str = "w") -> Lease:
        lease = self.queue.claim(worker, self.settings.lease_s)
        assert lease is not None
        assert self.work.begin(lease.task_id, lease.token) is not None
        return lease

    def lose_leases(self) -> None:
        """Lets the leases of all workers run out."""
        self.clock.now += self.settings.lease_s + 1
        if not self.database.is_sqlite:
            with self.database.write() as session:
                session.execute(text("UPDATE procrastinate_workers SET last_heartbeat = '-infinity'"))

    def succeed(self, lease: Lease, cache_key: str | None = None) -> bool:
        names = ("vocals", "instrumental")
        stems = [
            Stem(new_id(), name, position, "ab" * 32, "mp3", 100, 2.0, True, 0.9, -1.0, -20.0)
            for position, name in enumerate(names)
        ]
        return self.work.succeed(
            lease.task_id, lease.token, stems, seconds=2.0, cache_key=cache_key, facts={"plan": "fast"}
        )

    def deliveries(self, task_id: str) -> int:
        with self.database.read() as session:
            return session.query(tables.Delivery).filter_by(task_id=task_id).count()


OpenDomain = Callable[..., Domain]


sqlite_only = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
postgresql_only = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


LONG_ON_POSTGRESQL = ("test_callbacks", "test_derived_files", "test_retention", "test_sessions", "test_task_statistics")
"""Modules that run on PostgreSQL in the long tests only."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        is_postgresql = "postgresql" in item.name
        if is_postgresql and item.path.parent == Path(__file__).parent and item.path.stem in LONG_ON_POSTGRESQL:
            item.add_marker(pytest.mark.long)


def database_environment(domain: Domain) -> dict[str, str]:
    """The environment in which another process finds the same database."""
    url = domain.settings.database_url
    return {**os.environ, "STEMWRIGHT_DATABASE_URL": url.get_secret_value() if url is not None else ""}


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str | None:
    """A test runs on each kind of database; None is SQLite in the data folder."""
    return None if request.param == "sqlite" else request.getfixturevalue("postgresql_url")


@pytest.fixture
def open_domain(tmp_path: Path, database_url: str | None) -> Iterator[OpenDomain]:
    databases: list[Database] = []

    def opened(**changes: object) -> Domain:
        settings = read_settings(data=tmp_path / "data", database_url=database_url, **changes)
        clock = MovableClock()
        database = Database.open(settings)
        databases.append(database)
        database.migrate()
        queue, ledger = open_queue(database, clock), Ledger(database, clock)
        tracks, ending = Tracks(database, settings, clock), TaskCompletion(queue, ledger, clock)
        return Domain(
            settings=settings,
            clock=clock,
            database=database,
            queue=queue,
            accounts=Accounts(database, clock),
            keys=Keys(database, clock),
            ledger=ledger,
            tracks=tracks,
            tasks=Tasks(database, settings, queue, ledger, tracks, MemoryRateLimiter(), ending, clock),
            work=WorkerTasks(database, queue, ending, clock),
        )

    yield opened
    for database in databases:
        database.close()


@pytest.fixture
def domain(open_domain: OpenDomain) -> Domain:
    return open_domain()
