"""Workers on several machines: process groups that share a database and nothing else."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import sqlalchemy

from stemwright.database.engine import Database
from stemwright.jobs.queue import Queue
from tests.jobs.conftest import MODULES, ON_POSTGRESQL, enqueue
from tests.jobs.handlers import Journal
from tests.waiting import PATIENCE_S, wait_until

pytestmark = ON_POSTGRESQL

LEASE_S = 6.0
"""Long enough for a slow machine to extend it in time, and no longer: tests wait for its end."""

MACHINE = """
import sys, threading
from stemwright.database.engine import Database
from stemwright.jobs.open_queue import open_queue
from stemwright.jobs.supervisor import Supervisor
from stemwright.settings import read_settings
settings = read_settings(data=sys.argv[1], database_url=sys.argv[2], lease_s=float(sys.argv[3]))
supervisor = Supervisor(settings, open_queue(Database.open(settings)), "tests.jobs.handlers:trivial")
supervisor.start()
sys.stdin.read()
supervisor.drain()
"""


class Machine:
    """A supervisor and its worker, in a process group of their own."""

    def __init__(self, data: Path, url: str, lease_s: float) -> None:
        data.mkdir()
        self.journal = Journal(data)
        self.process = subprocess.Popen(
            [sys.executable, "-c", MACHINE, str(data), url, str(lease_s)],
            env={**os.environ, "PYTHONPATH": MODULES},
            stdin=subprocess.PIPE,
            start_new_session=True,
        )

    def send(self, number: signal.Signals) -> None:
        """Sends a signal to the supervisor and the worker at once."""
        os.killpg(self.process.pid, number)

    def has(self, what: str) -> list[list[str]]:
        """What its journal says; fails if it has died by itself."""
        assert self.process.poll() in (None, 0, -signal.SIGKILL)
        return self.journal.of(what)

    def stop(self) -> None:
        """Drains it."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(PATIENCE_S)


Switch = Callable[..., Machine]
"""Takes the name of the machine and, as an option, the length of its leases."""


@pytest.fixture
def switch_on(tmp_path: Path, database: Database) -> Iterator[Switch]:
    on: list[Machine] = []

    def switch_on(name: str, lease_s: float = LEASE_S) -> Machine:
        on.append(Machine(tmp_path / name, database.url, lease_s))
        return on[-1]

    yield switch_on
    for machine in on:
        if machine.process.poll() is None:
            machine.send(signal.SIGCONT)
            machine.send(signal.SIGKILL)
        machine.process.communicate()  # closes its input, too


def test_the_task_of_a_machine_that_dies_goes_on_elsewhere(database: Database, queue: Queue, switch_on: Switch) -> None:
    first = switch_on("first")
    enqueue(database, queue, "held-1")
    wait_until(lambda: first.has("begin"))
    first.send(signal.SIGKILL)
    second = switch_on("second")
    second.journal.let_end()
    wait_until(lambda: second.has("end") == [["held-1"]])
    assert second.has("begin")[0][1] == "2"
    wait_until(lambda: queue.depth() == 0)
    with database.read() as session:
        assert session.scalar(sqlalchemy.text("SELECT count(*) FROM workers")) == 1


def test_a_machine_that_was_cut_off_ends_nothing_when_it_comes_back(
    database: Database, queue: Queue, switch_on: Switch
) -> None:
    first = switch_on("first")
    enqueue(database, queue, "long-1")
    wait_until(lambda: first.has("begin"))
    first.send(signal.SIGSTOP)
    second = switch_on("second")
    wait_until(lambda: second.has("begin"))
    first.send(signal.SIGCONT)
    enqueue(database, queue, "quick-1")  # it gives up its lost task, and takes the next one
    wait_until(lambda: first.has("end") == [["quick-1"]])
    assert second.has("end") == []
    with database.write() as session:
        assert queue.request_cancel(session, "long-1")
    wait_until(lambda: second.has("cancelled") == [["long-1"]])
    assert first.has("cancelled") == []


def test_draining_hands_the_task_to_another_machine_uncounted(
    database: Database, queue: Queue, switch_on: Switch
) -> None:
    first, second = switch_on("first", 120), switch_on("second", 120)
    enqueue(database, queue, "held-1")
    wait_until(lambda: first.has("begin") or second.has("begin"))
    holder, other = (first, second) if first.has("begin") else (second, first)
    workers = psutil.Process(holder.process.pid).children()
    holder.stop()
    assert not any(worker.is_running() for worker in workers)
    other.journal.let_end()
    wait_until(lambda: other.has("end") == [["held-1"]])
    assert [attempt for _, attempt, _ in other.has("begin")] == ["1"]
    assert holder.has("end") == []
