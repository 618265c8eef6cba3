"""A queue in a folder of its own, and workers on it."""

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from stemwright.database.engine import Database
from stemwright.jobs.embedded import EmbeddedQueue
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
    return read_settings(data=tmp_path, attempts=3, workers=1)


@pytest.fixture
def start(queue: EmbeddedQueue, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
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


def enqueue(database: Database, queue: EmbeddedQueue, *tasks: str, account: str = "alice", priority: int = 0) -> None:
    for task in tasks:
        with database.write() as session:
            queue.enqueue(session, task, account, priority)
