"""The domain without HTTP, on a database in a temporary folder and a clock that the test moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.jobs.embedded import EmbeddedQueue
from stemwright.jobs.queue import Lease
from stemwright.service.accounts import Accounts
from stemwright.service.credit_ledger import Ledger
from stemwright.service.ids import new_id
from stemwright.service.keys import Caller, Keys
from stemwright.service.rate_limits import RateLimiter
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
    queue: EmbeddedQueue
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


@pytest.fixture
def open_domain(tmp_path: Path) -> OpenDomain:
    def opened(**changes: object) -> Domain:
        settings = read_settings(data=tmp_path / "data", **changes)
        clock = MovableClock()
        database = Database.in_folder(settings.data)
        database.migrate()
        queue, ledger = EmbeddedQueue(database, clock), Ledger(database, clock)
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
            tasks=Tasks(database, settings, queue, ledger, tracks, RateLimiter(), ending, clock),
            work=WorkerTasks(database, ending, clock),
        )

    return opened


@pytest.fixture
def domain(open_domain: OpenDomain) -> Domain:
    return open_domain()
