"""Workers as real processes, and real deaths."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest
from pydantic import SecretStr

from stemwright.database.engine import Database
from stemwright.database.tables import Job
from stemwright.errors import StorageError
from stemwright.jobs.embedded import EmbeddedQueue
from stemwright.jobs.queue import Queue
from stemwright.jobs.supervisor import lock_data_folder
from stemwright.jobs.worker import WorkerConfig
from stemwright.jobs.worker_process import MAX_BACKOFF_S
from stemwright.settings import Settings
from tests.jobs.conftest import KILLS_ON_BOTH, MODULES, Clock, Start, enqueue
from tests.jobs.handlers import Journal
from tests.waiting import PATIENCE_S, wait_until


@KILLS_ON_BOTH
def test_a_task_starts_and_leaves_the_queue(database: Database, queue: Queue, journal: Journal, start: Start) -> None:
    supervisor = start()
    wait_until(lambda: supervisor.n_ready == 1)
    enqueue(database, queue, "quick-1")
    wait_until(lambda: journal.of("end") == [["quick-1"]])
    wait_until(lambda: queue.depth() == 0)
    assert os.getpriority(os.PRIO_PROCESS, supervisor.pids[0]) == min(19, os.getpriority(os.PRIO_PROCESS, 0) + 5)


@KILLS_ON_BOTH
def test_kill_9_of_a_worker_loses_nothing_and_stops_nobody_else(
    database: Database, queue: Queue, journal: Journal, start: Start
) -> None:
    start(workers=2)
    enqueue(database, queue, "held-1", account="alice")
    enqueue(database, queue, "held-2", account="bob")
    wait_until(lambda: len(journal.of("begin")) == 2)
    victim, task = next((int(pid), task) for task, _, pid in journal.of("begin"))
    os.kill(victim, signal.SIGKILL)
    wait_until(lambda: len(journal.of("begin")) == 3)
    journal.let_end()
    wait_until(lambda: len(journal.of("end")) == 2)
    begun = {(name, attempt) for name, attempt, _ in journal.of("begin")}
    assert begun == {("held-1", "1"), ("held-2", "1"), (task, "2")}


@KILLS_ON_BOTH
def test_a_task_that_cannot_go_on_for_now_is_handed_back_uncounted(
    database: Database, queue: Queue, journal: Journal, start: Start
) -> None:
    enqueue(database, queue, "postponed-1")
    start(attempts=1)
    wait_until(lambda: journal.of("end") == [["postponed-1"]])
    assert [attempt for _, attempt, _ in journal.of("begin")] == ["1", "1", "1"]
    assert len({pid for _, _, pid in journal.of("begin")}) == 1, "the worker lives on"


@KILLS_ON_BOTH
def test_a_task_that_kills_its_workers_is_given_up_and_the_next_one_done(
    database: Database, queue: Queue, journal: Journal, start: Start
) -> None:
    enqueue(database, queue, "crash-1", account="alice")
    enqueue(database, queue, "quick-1", account="bob")
    start(attempts=2)
    wait_until(lambda: journal.of("gave-up"))
    assert journal.of("gave-up") == [["crash-1", "crashes"]]
    assert [attempt for name, attempt, _ in journal.of("begin") if name == "crash-1"] == ["1", "2"]
    wait_until(lambda: journal.of("end") == [["quick-1"]])
    names = [name for name, _, _ in journal.of("begin")]
    assert names.index("quick-1") == 1  # not behind all that alice's file broke


@KILLS_ON_BOTH
def test_a_fault_of_the_handler_counts_as_an_attempt_and_spares_the_worker(
    database: Database, queue: Queue, journal: Journal, start: Start
) -> None:
    enqueue(database, queue, "fault-1")
    start()
    wait_until(lambda: journal.of("gave-up") == [["fault-1", "crashes"]])
    assert [attempt for _, attempt, _ in journal.of("begin")] == ["1", "2", "3"]
    assert len({pid for _, _, pid in journal.of("begin")}) == 1


def test_a_task_that_takes_too_much_memory_is_ended_once(
    database: Database, queue: Queue, journal: Journal, start: Start
) -> None:
    enqueue(database, queue, "hog-1", "quick-1")
    start(worker_memory_mb=500)
    wait_until(lambda: journal.of("end") == [["quick-1"]])
    assert journal.of("gave-up") == [["hog-1", "memory"]]
    assert len(journal.of("begin")) == 2
    wait_until(lambda: queue.depth() == 0)


def test_a_task_that_makes_no_progress_is_ended_once(
    database: Database, queue: Queue, journal: Journal, start: Start
) -> None:
    enqueue(database, queue, "stuck-1")
    supervisor = start(stall_s=1.0)
    wait_until(lambda: journal.of("gave-up") == [["stuck-1", "stall"]])
    stuck = int(journal.of("begin")[0][2])
    wait_until(lambda: supervisor.n_ready == 1 and supervisor.pids not in ([], [stuck]))
    supervisor.drain()
    start()  # a task that does make progress has all the time it needs
    enqueue(database, queue, "quick-1")
    wait_until(lambda: journal.of("end") == [["quick-1"]])
    assert [task for task, _, _ in journal.of("begin")] == ["stuck-1", "quick-1"]
    wait_until(lambda: queue.depth() == 0)


def test_a_long_task_keeps_its_lease(database: Database, queue: Queue, journal: Journal, start: Start) -> None:
    start(lease_s=1.0)  # extended every third of a second
    enqueue(database, queue, "long-1")
    wait_until(lambda: journal.of("begin"))
    until = leased_until(database, "long-1")
    wait_until(lambda: leased_until(database, "long-1") > until + 1.0)
    assert len(journal.of("begin")) == 1


def test_a_worker_whose_lease_is_anothers_stops(
    database: Database, queue: Queue, journal: Journal, start: Start
) -> None:
    start(lease_s=0.9)
    enqueue(database, queue, "long-1")
    wait_until(lambda: journal.of("begin"))
    later = EmbeddedQueue(database, lambda: time.time() + 3600)  # its time has run out
    lease = later.claim("elsewhere", 3600)
    assert lease is not None and lease.task_id == "long-1"
    enqueue(database, queue, "quick-1")
    wait_until(lambda: journal.of("end") == [["quick-1"]])
    assert queue.extend(lease, 3600)


@KILLS_ON_BOTH
def test_draining_gives_the_task_back_uncounted(
    database: Database, queue: Queue, journal: Journal, start: Start
) -> None:
    supervisor = start()
    enqueue(database, queue, "held-1")
    wait_until(lambda: journal.of("begin"))
    pids = supervisor.pids
    supervisor.drain(PATIENCE_S)
    assert not any(psutil.pid_exists(pid) for pid in pids)
    lease = queue.claim("elsewhere", 60)
    assert lease is not None and lease.attempt == 1
    assert journal.of("end") == []


def test_a_worker_that_cannot_start_is_tried_again(journal: Journal, start: Start) -> None:
    supervisor = start("broken")
    wait_until(lambda: len(journal.of("load")) >= 2)
    assert supervisor.n_ready == 0


def test_a_hanging_worker_is_killed(
    database: Database, queue: Queue, journal: Journal, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("stemwright.jobs.supervisor.CHECK_INTERVAL_S", 0.01)
    clock = Clock()
    start(clock=clock)
    enqueue(database, queue, "held-1")
    wait_until(lambda: journal.of("begin"))
    victim = psutil.Process(int(journal.of("begin")[0][2]))
    victim.suspend()

    def is_gone() -> bool:
        clock.now += 1
        return not victim.is_running()

    wait_until(is_gone)
    clock.now += MAX_BACKOFF_S
    journal.let_end()
    wait_until(lambda: journal.of("end"))
    assert [attempt for _, attempt, _ in journal.of("begin")] == ["1", "2"]


def leased_until(database: Database, task: str) -> float:
    with database.read() as session:
        job = session.get(Job, task)
        return job.leased_until or 0.0 if job is not None else 0.0


SERVER = """
import sys, threading
from stemwright.database.engine import Database
from stemwright.jobs.open_queue import open_queue
from stemwright.jobs.supervisor import Supervisor, lock_data_folder
from stemwright.settings import read_settings
settings = read_settings(data=sys.argv[1], attempts=1)
with lock_data_folder(settings.data):
    supervisor = Supervisor(settings, open_queue(Database.open(settings)), "tests.jobs.handlers:trivial")
    supervisor.start()
    threading.Event().wait()
"""


def serve(data: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-c", SERVER, str(data)],
        env={**os.environ, "PYTHONPATH": MODULES},
    )


@pytest.mark.parametrize("task", ["held-1", "uninterruptible-1"])
def test_kill_9_of_the_server_ends_its_workers_and_the_next_server_goes_on(
    tmp_path: Path, database: Database, queue: Queue, journal: Journal, task: str
) -> None:
    enqueue(database, queue, task)
    server = serve(tmp_path)
    wait_until(lambda: journal.of("begin"))
    server.kill()
    server.wait()
    worker = int(journal.of("begin")[0][2])
    wait_until(lambda: not psutil.pid_exists(worker) or psutil.Process(worker).status() == "zombie")
    server = serve(tmp_path)
    try:
        wait_until(lambda: len(journal.of("begin")) == 2)
        # the task did nothing wrong: even where one attempt is all that it has, it is begun again
        assert [attempt for _, attempt, _ in journal.of("begin")] == ["1", "1"]
        if task == "held-1":
            journal.let_end()
            wait_until(lambda: journal.of("end"))
    finally:
        server.kill()
        server.wait()


def test_kill_9_of_both_is_an_attempt(
    tmp_path: Path, database: Database, queue: Queue, journal: Journal, start: Start
) -> None:
    enqueue(database, queue, "held-1")
    server = serve(tmp_path)
    wait_until(lambda: journal.of("begin"))
    worker = int(journal.of("begin")[0][2])
    os.kill(server.pid, signal.SIGSTOP)  # it must not see the worker die
    os.kill(worker, signal.SIGKILL)
    server.kill()
    server.wait()
    journal.let_end()
    start()
    wait_until(lambda: journal.of("end"))
    assert [attempt for _, attempt, _ in journal.of("begin")] == ["1", "2"]


def test_one_data_folder_has_one_server(tmp_path: Path) -> None:
    with lock_data_folder(tmp_path), pytest.raises(StorageError, match="stop it first"), lock_data_folder(tmp_path):
        pass
    with lock_data_folder(tmp_path / "new" / "folder"):
        assert (tmp_path / "new" / "folder").is_dir()


def test_secrets_reach_workers_and_no_argument_or_environment_shows_them(settings: Settings, start: Start) -> None:
    secret = settings.model_copy(update={"webhook_key": SecretStr("whsec_hidden")})
    config = WorkerConfig("local/0", "tests.jobs.handlers:trivial", secret, 30.0)
    assert WorkerConfig.from_line(config.to_line()) == config
    supervisor = start(webhook_key=SecretStr("whsec_hidden"))
    wait_until(lambda: supervisor.n_ready == 1)
    process = psutil.Process(supervisor.pids[0])
    assert "whsec_hidden" not in f"{process.cmdline()} {process.environ()}"


@pytest.mark.long
def test_twenty_random_kills_lose_nothing(
    tmp_path: Path, database: Database, queue: Queue, journal: Journal, start: Start
) -> None:
    chance = random.Random(0)
    tasks = [f"slow-{place}" for place in range(12)]
    for place, task in enumerate(tasks):
        enqueue(database, queue, task, account=f"account-{place % 3}")
    supervisor = start(workers=3, attempts=1000)
    for _ in range(20):
        time.sleep(chance.uniform(0.2, 1.5))
        pids = supervisor.pids
        if pids:
            os.kill(chance.choice(pids), signal.SIGKILL)
    wait_until(lambda: {task for (task,) in journal.of("end")} == set(tasks))
    wait_until(lambda: queue.depth() == 0)
    assert journal.of("gave-up") == []


@pytest.mark.long
def test_draining_waits_for_no_handler_that_does_not_listen(
    database: Database, queue: Queue, journal: Journal, start: Start
) -> None:
    supervisor = start()
    enqueue(database, queue, "uninterruptible-1")
    wait_until(lambda: journal.of("begin"))
    supervisor.drain()
    lease = queue.claim("elsewhere", 60)
    assert lease is not None and lease.attempt == 1  # it gave the task back before it ended
