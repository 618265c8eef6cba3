"""Workers as real processes, on a clock of the test's: a slow machine makes things late, never impossible."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from stemwright.database.engine import Database
from stemwright.jobs import worker_process as processes
from stemwright.jobs.queue import Queue
from stemwright.jobs.worker import WorkerConfig
from stemwright.jobs.worker_process import HEARTBEAT_TIMEOUT_S, MAX_BACKOFF_S, START_TIMEOUT_S, WorkerProcess
from stemwright.settings import Settings
from tests.jobs.conftest import MODULES, Clock, enqueue
from tests.jobs.handlers import Journal
from tests.waiting import PATIENCE_S, wait_until

WAITING = """
import pathlib, sys, time
while not pathlib.Path(sys.argv[1]).exists():
    time.sleep(0.01)
from stemwright.jobs.worker_main import main
main()
"""
"""A worker on a machine that is so slow that its first line is not reached before the test says so."""

HEAVY = ("numpy", "psutil", "pydantic", "sqlalchemy", "stemwright.settings")


class Machine:
    """One process, looked at once a second of the clock."""

    def __init__(self, process: WorkerProcess, clock: Clock) -> None:
        self.process = process
        self.clock = clock

    @property
    def pid(self) -> int:
        assert self.process.process is not None
        return self.process.process.pid

    def pass_s(self, seconds: float) -> None:
        for _ in range(round(seconds)):
            self.clock.now += 1
            self.process.check()

    def until(self, holds: Callable[[], object]) -> None:
        """Looks on, while the clock stands still, until something holds."""

        def looked() -> object:
            self.process.check()
            return holds()

        wait_until(looked)

    def seconds_until_killed(self) -> int:
        """How long the worker of now is left alone; another one has been started then."""
        process, seconds = self.process.process, 0
        assert process is not None
        while not self.process.is_killed:
            assert seconds < 100_000, "nobody kills it"
            self.pass_s(1)
            seconds += 1
        process.wait(PATIENCE_S)
        self.until(lambda: self.process.process is None)
        self.clock.now += MAX_BACKOFF_S
        self.until(lambda: self.process.process is not None)
        return seconds


@pytest.fixture
def machine(queue: Queue, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    monkeypatch.setenv("PYTHONPATH", MODULES)
    clock = Clock()
    process = WorkerProcess(WorkerConfig("local/0", "tests.jobs.handlers:heavy", settings, PATIENCE_S), queue, clock)
    yield Machine(process, clock)
    if process.process is not None:
        process.process.kill()
        process.end(PATIENCE_S)


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Workers begin once this file is there."""
    path = tmp_path / "released"
    monkeypatch.setattr(processes, "COMMAND", (sys.executable, "-c", WAITING, str(path)))
    return path


def ready(machine: Machine, settings: Settings) -> None:
    (settings.data / "loaded").touch()
    machine.until(lambda: machine.process.is_ready)


def test_a_start_may_be_ten_times_slower_than_it_ever_was(machine: Machine, release: Path, settings: Settings) -> None:
    machine.process.start()
    pid = machine.pid
    machine.pass_s(START_TIMEOUT_S)
    release.touch()
    ready(machine, settings)
    assert machine.pid == pid


def test_a_start_that_does_not_end_gets_twice_as_long_each_time(
    machine: Machine, release: Path, settings: Settings, database: Database, queue: Queue, journal: Journal
) -> None:
    machine.process.start()
    assert [machine.seconds_until_killed() for _ in range(4)] == [
        pytest.approx(START_TIMEOUT_S * factor, abs=1) for factor in (1, 2, 4, 8)
    ]
    machine.pass_s(15 * START_TIMEOUT_S)
    release.touch()
    ready(machine, settings)
    enqueue(database, queue, "quick-1")
    machine.until(lambda: journal.of("end") == [["quick-1"]])


def test_who_loads_for_long_is_left_alone_while_its_pulse_goes(machine: Machine, settings: Settings) -> None:
    machine.process.start()
    pid = machine.pid
    for _ in range(4):
        machine.pass_s(START_TIMEOUT_S / 2)
        machine.until(lambda: machine.process.silent_s == 0)  # a heartbeat, while the handler is loaded
    assert not machine.process.is_ready
    ready(machine, settings)
    assert machine.pid == pid


def test_the_pulse_begins_before_the_libraries_of_a_worker_are_loaded() -> None:
    script = "import sys, stemwright.jobs.worker_main; print(*sys.modules)"
    environment = os.environ | {"PYTHONPATH": MODULES}
    loaded = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=environment
    ).stdout.split()
    assert "stemwright.jobs.heartbeat_pipe" in loaded
    assert not [module for module in HEAVY if module in loaded]


def test_who_hangs_is_killed_and_a_task_that_ends_makes_the_limit_short_again(
    machine: Machine, settings: Settings, database: Database, queue: Queue, journal: Journal
) -> None:
    (settings.data / "loaded").touch()
    machine.process.start()
    for factor in (1, 2):
        ready(machine, settings)
        os.kill(machine.pid, signal.SIGSTOP)
        assert machine.seconds_until_killed() == pytest.approx(HEARTBEAT_TIMEOUT_S * factor, abs=2)
    ready(machine, settings)
    enqueue(database, queue, "quick-1")
    machine.until(lambda: journal.of("end") and queue.depth() == 0 and machine.process.timeout_factor == 1)
    os.kill(machine.pid, signal.SIGSTOP)
    assert machine.seconds_until_killed() == pytest.approx(HEARTBEAT_TIMEOUT_S, abs=2)


def test_a_machine_that_stood_still_kills_nobody(machine: Machine, settings: Settings) -> None:
    (settings.data / "loaded").touch()
    machine.process.start()
    pid = machine.pid
    for _ in range(10):
        machine.clock.now += 3600
        machine.process.check()
    machine.until(lambda: machine.process.is_ready)
    os.kill(pid, signal.SIGSTOP)
    for _ in range(10):
        machine.clock.now += 3600
        machine.process.check()
    os.kill(pid, signal.SIGCONT)
    machine.until(lambda: machine.process.silent_s == 0)
    assert machine.pid == pid


def test_a_supervisor_that_did_not_read_for_long_still_learns_that_a_worker_is_ready(
    machine: Machine, settings: Settings
) -> None:
    machine.process.start()
    process = machine.process.process
    assert process is not None and process.stdout is not None
    machine.until(lambda: machine.process.silent_s == 0)
    (settings.data / "loaded").touch()
    pipe = process.stdout
    wait_until(lambda: b"!" in (pipe.read(65_536) or b""))  # the first word is lost
    assert not machine.process.is_ready
    machine.until(lambda: machine.process.is_ready)


def test_a_worker_that_does_not_stop_in_time_gives_its_task_back_uncounted(
    machine: Machine, settings: Settings, database: Database, queue: Queue, journal: Journal
) -> None:
    (settings.data / "loaded").touch()
    enqueue(database, queue, "uninterruptible-1")
    machine.process.start()
    machine.until(lambda: journal.of("begin"))
    os.kill(machine.pid, signal.SIGSTOP)
    machine.process.terminate()
    machine.process.end(0.0)
    lease = queue.claim("elsewhere", 60)
    assert lease is not None and lease.attempt == 1
