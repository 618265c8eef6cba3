"""Workers on several machines: process groups that share a database and nothing else."""

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import sqlalchemy

from stemwright.database.engine import Database
from stemwright.jobs.procrastinate_queue import ProcrastinateQueue
from stemwright.jobs.queue import Queue
from stemwright.settings import SHARED_LEASE_S
from tests.jobs.conftest import ON_POSTGRESQL, enqueue
from tests.jobs.machine import Machine
from tests.waiting import wait_until

pytestmark = ON_POSTGRESQL

LEASE_S = 6.0
"""Long enough for a slow machine to extend it in time, and no longer: tests wait for its end."""

PROMISED_S = 15.0
"""How soon another machine has the task of one that died (docs/operations.md); ``make bench-machines`` measures it."""

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


def test_the_lease_and_the_pause_of_idle_workers_keep_the_promise(queue: Queue) -> None:
    assert SHARED_LEASE_S + ProcrastinateQueue.poll_s <= PROMISED_S - 2
