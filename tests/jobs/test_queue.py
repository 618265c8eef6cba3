"""What every queue keeps, whichever database it is in."""

import os
import subprocess
import sys
from collections.abc import Callable

import pytest
import sqlalchemy

from stemwright.database.engine import Database
from stemwright.jobs.embedded import EmbeddedQueue
from stemwright.jobs.open_queue import open_queue
from stemwright.jobs.queue import Lease, Order, Queue
from tests.jobs.conftest import MODULES, ON_BOTH, Clock, enqueue

pytestmark = ON_BOTH

PassTime = Callable[[float], None]

CLAIMER = """
import sys
from stemwright.database.engine import Database
from stemwright.jobs.open_queue import open_queue
queue = open_queue(Database(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
while (lease := queue.claim(sys.argv[2], 3600)) is not None:
    print(lease.task_id, flush=True)
"""
"""A process that claims until nothing is left, once it is told to begin."""


@pytest.fixture
def queue(database: Database, clock: Clock) -> Queue:
    return open_queue(database, clock)


@pytest.fixture
def pass_s(queue: Queue, database: Database, clock: Clock) -> PassTime:
    """Lets time pass: that of the clock, or in the database, whose clock nobody can move, since the last heartbeats."""

    def pass_s(seconds: float) -> None:
        if isinstance(queue, EmbeddedQueue):
            clock.now += seconds
            return
        with database.write() as session:
            session.execute(
                sqlalchemy.text(
                    "UPDATE procrastinate_workers SET last_heartbeat = last_heartbeat - :s * interval '1 s'"
                ),
                {"s": seconds},
            )

    return pass_s


def claimed(queue: Queue, worker: str = "local/0") -> Lease:
    lease = queue.claim(worker, 30)
    assert lease is not None
    return lease


def test_tasks_of_one_account_go_by_priority_then_by_age(database: Database, queue: Queue, pass_s: PassTime) -> None:
    for task, priority in (("old", 0), ("new", 0), ("urgent", 5)):
        enqueue(database, queue, task, priority=priority)
        pass_s(1)
    assert [claimed(queue).task_id for _ in range(3)] == ["urgent", "old", "new"]
    assert queue.claim("local/0", 30) is None


def test_a_priority_passes_nobody_elses_tasks(database: Database, queue: Queue) -> None:
    enqueue(database, queue, "a0", "a1", account="alice", priority=10)
    enqueue(database, queue, "b0", account="bob", priority=-10)
    assert sorted(claimed(queue).task_id for _ in range(2)) == ["a0", "b0"]


def test_one_worker_serves_accounts_in_turn(database: Database, queue: Queue, pass_s: PassTime) -> None:
    for place in range(4):
        enqueue(database, queue, f"a{place}", account="alice")
        pass_s(1)
    enqueue(database, queue, "b0", account="bob")
    enqueue(database, queue, "c0", "c1", account="carol")
    order = []
    while (lease := queue.claim("local/0", 30)) is not None:
        order.append(lease.task_id)
        queue.complete(lease)
    assert order == ["a0", "b0", "c0", "a1", "c1", "a2", "a3"]


def test_the_account_with_the_fewest_leases_is_next(database: Database, queue: Queue) -> None:
    enqueue(database, queue, "b0", account="bob")
    b0 = claimed(queue)
    enqueue(database, queue, "a0", "a1", account="alice")
    enqueue(database, queue, "b1", account="bob")
    assert claimed(queue).task_id == "a0"
    assert b0.task_id == "b0"
    queue.complete(b0)
    assert claimed(queue).task_id == "b1"


def test_a_crashing_account_does_not_keep_its_turn(database: Database, queue: Queue) -> None:
    enqueue(database, queue, "a0", "a1", account="alice")
    enqueue(database, queue, "b0", account="bob")
    assert claimed(queue).task_id == "a0"
    queue.release_worker("local/0")
    assert claimed(open_queue(database)).task_id == "b0"  # whoever asks next, even a new process


def test_a_lease_is_held_while_it_is_extended_and_lost_after(
    database: Database, queue: Queue, pass_s: PassTime
) -> None:
    enqueue(database, queue, "task")
    first = claimed(queue)
    assert first.attempt == 1
    pass_s(29)
    assert queue.extend(first, 30)
    pass_s(29)
    assert queue.claim("local/1", 30) is None
    pass_s(2)
    second = claimed(queue, "local/1")
    assert (second.task_id, second.attempt) == ("task", 2)
    assert second.token != first.token
    assert not queue.extend(first, 30)


def test_the_holder_of_an_old_lease_changes_nothing(database: Database, queue: Queue, pass_s: PassTime) -> None:
    enqueue(database, queue, "task")
    first = claimed(queue)
    pass_s(31)
    second = claimed(queue, "local/1")
    queue.release(first)
    queue.complete(first)
    assert queue.extend(second, 30)
    assert queue.claim("local/0", 30) is None


def test_a_lease_given_back_does_not_count(database: Database, queue: Queue) -> None:
    enqueue(database, queue, "task")
    for _ in range(3):
        lease = claimed(queue)
        assert lease.attempt == 1
        queue.release(lease)
    assert queue.depth() == 1


def test_the_leases_of_a_dead_worker_end_at_once_and_count(database: Database, queue: Queue) -> None:
    enqueue(database, queue, "one", "two", "three")
    held = [claimed(queue, worker) for worker in ("local/1", "local/10", "local_1")]
    assert queue.depth() == 0
    queue.release_worker("local/1")
    assert [queue.extend(lease, 30) for lease in held] == [False, True, True]
    assert claimed(queue).attempt == 2
    queue.release_worker("local")
    assert [queue.extend(lease, 30) for lease in held] == [False, False, True]


def test_a_worker_that_was_ended_may_leave_its_task_uncounted(database: Database, queue: Queue) -> None:
    enqueue(database, queue, "task")
    lease = claimed(queue)
    queue.release_worker("local/0", counts=False)
    assert not queue.extend(lease, 30)
    assert claimed(queue).attempt == 1


def test_what_is_completed_or_removed_is_gone(database: Database, queue: Queue) -> None:
    enqueue(database, queue, "one", "two")
    queue.complete(claimed(queue))
    lease = claimed(queue)
    with database.write() as session:
        queue.remove(session, lease.task_id)
    assert not queue.extend(lease, 30)
    assert queue.depth() == 0
    assert queue.claim("local/0", 30) is None


def test_a_task_is_queued_only_with_the_transaction_that_makes_it(database: Database, queue: Queue) -> None:
    with pytest.raises(ZeroDivisionError), database.write() as session:
        queue.enqueue(session, Order("task", "alice"))
        raise ZeroDivisionError
    assert queue.claim("local/0", 30) is None


def test_the_token_of_a_lease_is_good_until_the_task_is_anothers(
    database: Database, queue: Queue, pass_s: PassTime
) -> None:
    enqueue(database, queue, "task")
    first = claimed(queue)
    pass_s(31)
    second = claimed(queue, "local/1")
    with database.write() as session:
        assert not queue.holds(session, "task", first.token)
        assert queue.holds(session, "task", second.token)
        assert not queue.holds(session, "other", second.token)
    queue.release(second)
    with database.write() as session:
        assert not queue.holds(session, "task", second.token)


def test_a_cancel_asks_the_worker_only_if_there_is_one(database: Database, queue: Queue) -> None:
    enqueue(database, queue, "task")
    with database.write() as session:
        assert not queue.request_cancel(session, "task")
        assert not queue.request_cancel(session, "other")
    lease = claimed(queue)
    for _ in range(2):
        with database.write() as session:
            assert queue.request_cancel(session, "task")
    queue.release(lease)
    with database.write() as session:
        assert not queue.request_cancel(session, "task")
    assert claimed(queue).task_id == "task"


def test_a_thousand_tasks_of_one_account_delay_anothers_by_one_a_worker(database: Database, queue: Queue) -> None:
    """Three workers, all busy with the large account, end their tasks one by one."""
    with database.write() as session:
        for place in range(1000):
            queue.enqueue(session, Order(f"a{place}", "alice"))
    held = {worker: claimed(queue, worker) for worker in ("local/0", "local/1", "local/2")}
    enqueue(database, queue, "b0", account="bob")
    after = []
    for worker, lease in held.items():
        queue.complete(lease)
        after.append(claimed(queue, worker).task_id)
    assert after[0] == "b0"


def test_processes_that_claim_at_once_never_get_one_task_twice(database: Database, queue: Queue) -> None:
    tasks = [f"task-{place}" for place in range(60)]
    for place, task in enumerate(tasks):
        enqueue(database, queue, task, account=f"account-{place % 7}")
    claimers = [
        subprocess.Popen(
            [sys.executable, "-c", CLAIMER, database.url, f"local/{place}"],
            env={**os.environ, "PYTHONPATH": MODULES},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for place in range(2)
    ]
    for process in claimers:
        assert process.stdout is not None and process.stdout.readline() == "ready\n"
    for process in claimers:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    got = [process.communicate()[0].split() for process in claimers]
    assert [process.returncode for process in claimers] == [0, 0]
    assert sorted(task for some in got for task in some) == sorted(tasks)
    assert queue.depth() == 0
