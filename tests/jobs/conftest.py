"""A queue in a folder of its own, and workers on it."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stemwright.database.engine import Database
from stemwright.jobs.embedded import EmbeddedQueue
from stemwright.jobs.supervisor import Supervisor
from stemwright.settings import Settings, read_settings
from tests.jobs.handlers import Journal

REPOSITORY = Path(__file__).parents[2]

Start = Callable[..., Supervisor]


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.in_folder(tmp_path)
    database.migrate()
    yield database
    database.close()


@pytest.fixture
def queue(database: Database) -> EmbeddedQueue:
    return EmbeddedQueue(database)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return read_settings(data=tmp_path, lease_s=3.0, attempts=3, workers=1)


@pytest.fixture
def start(queue: EmbeddedQueue, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    """Starts a supervisor; the options are settings, the name of the handler, and ``stall_s``."""
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))  # where workers find the tests' handlers
    started: list[Supervisor] = []

    def start(handler: str = "trivial", *, stall_s: float = 30.0, **changes: object) -> Supervisor:
        changed = settings.model_copy(update=changes)
        supervisor = Supervisor(changed, queue, f"tests.jobs.handlers:{handler}", stall_s=stall_s)
        started.append(supervisor)
        supervisor.start()
        return supervisor

    yield start
    for supervisor in started:
        supervisor.drain()


def enqueue(database: Database, queue: EmbeddedQueue, *tasks: str, account: str = "alice", priority: int = 0) -> None:
    for task in tasks:
        with database.write() as session:
            queue.enqueue(session, task, account, priority)


def wait_until(holds: Callable[[], object], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not holds():
        assert time.monotonic() < deadline, "it did not come to pass in time"
        time.sleep(0.02)
