"""A queue in a folder of its own, and workers on it."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stemwright.database.engine import DATABASE_FILE, Database
from stemwright.jobs.open_queue import open_queue
from stemwright.jobs.queue import Order, Queue, QueueName
from stemwright.jobs.supervisor import Supervisor
from stemwright.settings import Settings, read_settings
from tests.jobs.handlers import Journal
from tests.waiting import PATIENCE_S

REPOSITORY = Path(__file__).parents[2]
MODULES = os.pathsep.join([str(REPOSITORY), str(REPOSITORY / "src")])
"""Where workers find the tests' handlers, and the sources that are tested."""

Start = Callable[..., Supervisor]


@dataclass
class Clock:
    """A clock that stands still unless the test moves it."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


ON_BOTH = pytest.mark.parametrize("database_url", ["sqlite", "postgresql"], indirect=True)
"""For tests of what every queue keeps."""

KILLS_ON_BOTH = pytest.mark.parametrize(
    "database_url", ["sqlite", pytest.param("postgresql", marks=pytest.mark.long)], indirect=True
)
"""For the supervisor's kills: it does the same on each queue, so `make test` has one of them."""

ON_POSTGRESQL = pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)


@pytest.fixture
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if getattr(request, "param", "sqlite") == "postgresql":
        return str(request.getfixturevalue("postgresql_url"))
    return f"sqlite:///{tmp_path / DATABASE_FILE}"


@pytest.fixture
def database(database_url: str) -> Iterator[Database]:
    database = Database(database_url)
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(database: Database) -> Queue:
    return open_queue(database)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return read_settings(data=tmp_path, database_url=database_url, lease_s=120, attempts=3, workers=1)


@pytest.fixture
def start(queue: Queue, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a supervisor; the options are settings, the name of the handler, ``stall_s`` and ``clock``."""
    monkeypatch.setenv("PYTHONPATH", MODULES)
    started: list[Supervisor] = []

    def start(
        handler: str = "trivial",
        *,
        stall_s: float = PATIENCE_S,
        clock: Callable[[], float] = time.monotonic,
        **changes: object,
    ) -> Supervisor:
        changed = settings.model_copy(update=changes)
        supervisor = Supervisor(changed, queue, f"tests.jobs.handlers:{handler}", stall_s=stall_s, clock=clock)
        started.append(supervisor)
        supervisor.start()
        return supervisor

    yield start
    for supervisor in started:
        supervisor.drain()


def enqueue(
    database: Database,
    queue: Queue,
    *tasks: str,
    account: str = "alice",
    priority: int = 0,
    kind: QueueName = "separation",
    plan: str = "",
) -> None:
    for task in tasks:
        with database.write() as session:
            queue.enqueue(session, Order(task, account, kind, plan, priority))
