import itertools
import sqlite3
import threading
import uuid
from pathlib import Path

import pytest
from sqlalchemy import event

from stemwright.database.engine import Database
from stemwright.database.tables import Job
from stemwright.jobs.embedded import EmbeddedQueue
from stemwright.jobs.queue import Lease
from tests.jobs.conftest import Clock, enqueue


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def queue(database: Database, clock: Clock) -> EmbeddedQueue:
    return EmbeddedQueue(database, clock)


def claimed(queue: EmbeddedQueue, worker: str = "local/0") -> Lease:
    lease = queue.claim(worker, 30)
    assert lease is not None
    return lease


def test_tasks_of_one_account_go_by_priority_then_by_age(
    database: Database, queue: EmbeddedQueue, clock: Clock
) -> None:
    for task, priority in (("old", 0), ("new", 0), ("urgent", 5)):
        enqueue(database, queue, task, priority=priority)
        clock.now += 1
    assert [claimed(queue).task_id for _ in range(3)] == ["urgent", "old", "new"]
    assert queue.claim("local/0", 30) is None


def test_a_priority_passes_nobody_elses_tasks(database: Database, queue: EmbeddedQueue) -> None:
    enqueue(database, queue, "a0", "a1", account="alice", priority=10)
    enqueue(database, queue, "b0", account="bob", priority=-10)
    assert sorted(claimed(queue).task_id for _ in range(2)) == ["a0", "b0"]


def test_one_worker_serves_accounts_in_turn(database: Database, queue: EmbeddedQueue, clock: Clock) -> None:
    for place in range(4):
        enqueue(database, queue, f"a{place}", account="alice")
        clock.now += 1
    enqueue(database, queue, "b0", account="bob")
    enqueue(database, queue, "c0", "c1", account="carol")
    order = []
    while (lease := queue.claim("local/0", 30)) is not None:
        order.append(lease.task_id)
        queue.complete(lease)
    assert order == ["a0", "b0", "c0", "a1", "c1", "a2", "a3"]


def test_the_account_with_the_fewest_leases_is_next(database: Database, queue: EmbeddedQueue) -> None:
    enqueue(database, queue, "b0", account="bob")
    b0 = claimed(queue)
    enqueue(database, queue, "a0", "a1", account="alice")
    enqueue(database, queue, "b1", account="bob")
    assert claimed(queue).task_id == "a0"
    assert b0.task_id == "b0"
    queue.complete(b0)
    assert claimed(queue).task_id == "b1"


def test_a_crashing_account_does_not_keep_its_turn(database: Database, queue: EmbeddedQueue) -> None:
    enqueue(database, queue, "a0", "a1", account="alice")
    enqueue(database, queue, "b0", account="bob")
    assert claimed(queue).task_id == "a0"
    queue.release_worker("local/0")
    assert claimed(EmbeddedQueue(database)).task_id == "b0"  # whoever asks next, even a new process


def test_a_lease_is_held_while_it_is_extended_and_lost_after(
    database: Database, queue: EmbeddedQueue, clock: Clock
) -> None:
    enqueue(database, queue, "task")
    first = claimed(queue)
    assert first.attempt == 1
    clock.now += 29
    assert queue.extend(first, 30)
    clock.now += 29
    assert queue.claim("local/1", 30) is None
    clock.now += 2
    second = claimed(queue, "local/1")
    assert (second.task_id, second.attempt) == ("task", 2)
    assert second.token != first.token
    assert not queue.extend(first, 30)


def test_the_holder_of_an_old_lease_changes_nothing(database: Database, queue: EmbeddedQueue, clock: Clock) -> None:
    enqueue(database, queue, "task")
    first = claimed(queue)
    clock.now += 31
    second = claimed(queue, "local/1")
    queue.release(first)
    queue.complete(first)
    assert queue.extend(second, 30)
    assert queue.claim("local/0", 30) is None


def test_a_lease_given_back_does_not_count(database: Database, queue: EmbeddedQueue) -> None:
    enqueue(database, queue, "task")
    for _ in range(3):
        lease = claimed(queue)
        assert lease.attempt == 1
        queue.release(lease)
    assert queue.depth() == 1


def test_the_leases_of_a_dead_worker_end_at_once_and_count(database: Database, queue: EmbeddedQueue) -> None:
    enqueue(database, queue, "one", "two", "three")
    held = [claimed(queue, worker) for worker in ("local/1", "local/10", "local_1")]
    assert queue.depth() == 0
    queue.release_worker("local/1")
    assert [queue.extend(lease, 30) for lease in held] == [False, True, True]
    assert claimed(queue).attempt == 2
    queue.release_worker("local")
    assert [queue.extend(lease, 30) for lease in held] == [False, False, True]


def test_a_worker_that_was_ended_may_leave_its_task_uncounted(database: Database, queue: EmbeddedQueue) -> None:
    enqueue(database, queue, "task")
    lease = claimed(queue)
    queue.release_worker("local/0", counts=False)
    assert not queue.extend(lease, 30)
    assert claimed(queue).attempt == 1


def test_a_clock_that_jumps_back_loses_nothing(database: Database, queue: EmbeddedQueue, clock: Clock) -> None:
    enqueue(database, queue, "task")
    claimed(queue)
    clock.now -= 1_000_000
    queue.release_worker("local/0")
    assert claimed(queue).attempt == 2


def test_what_is_completed_or_removed_is_gone(database: Database, queue: EmbeddedQueue) -> None:
    enqueue(database, queue, "one", "two")
    queue.complete(claimed(queue))
    lease = claimed(queue)
    with database.write() as session:
        queue.remove(session, lease.task_id)
    assert not queue.extend(lease, 30)
    assert queue.depth() == 0
    assert queue.claim("local/0", 30) is None


def test_a_task_is_queued_only_with_the_transaction_that_makes_it(database: Database, queue: EmbeddedQueue) -> None:
    with pytest.raises(ZeroDivisionError), database.write() as session:
        queue.enqueue(session, "task", "alice", 0)
        raise ZeroDivisionError
    assert queue.claim("local/0", 30) is None


def test_many_workers_never_get_one_task_twice(tmp_path: Path, database: Database, queue: EmbeddedQueue) -> None:
    tasks = [uuid.uuid4().hex for _ in range(60)]
    enqueue(database, queue, *tasks)
    got: list[str] = []

    def work(place: int) -> None:
        own = Database.in_folder(tmp_path)  # as a process of its own has
        while (lease := EmbeddedQueue(own).claim(f"local/{place}", 30)) is not None:
            got.append(lease.task_id)
        own.close()

    threads = [threading.Thread(target=work, args=(place,)) for place in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(got) == sorted(tasks)


def test_a_claim_with_ten_thousand_waiting_is_little_work_for_the_database(
    database: Database, queue: EmbeddedQueue
) -> None:
    with database.write() as session:
        session.add_all(
            Job(task_id=uuid.uuid4().hex, account_id=f"{place % 50:032x}", priority=0, queued_at=place, attempts=0)
            for place in range(10_000)
        )
    thousands = itertools.count()  # of instructions that SQLite's virtual machine has run

    def count(connection: sqlite3.Connection, *_: object) -> None:
        connection.set_progress_handler(lambda: next(thousands) * 0, 1000)

    event.listen(database.engine, "checkout", count)
    claimed(queue)
    assert 0 < next(thousands) < 1000
