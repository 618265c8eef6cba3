"""What is the embedded queue's own."""

import itertools
import sqlite3
import uuid

import pytest
from sqlalchemy import event

from stemwright.database.engine import Database
from stemwright.database.tables import Job
from stemwright.jobs.embedded import EmbeddedQueue
from tests.jobs.conftest import Clock, enqueue
from tests.jobs.test_queue import claimed


@pytest.fixture
def queue(database: Database, clock: Clock) -> EmbeddedQueue:
    return EmbeddedQueue(database, clock)


def test_a_clock_that_jumps_back_loses_nothing(database: Database, queue: EmbeddedQueue, clock: Clock) -> None:
    enqueue(database, queue, "task")
    claimed(queue)
    clock.now -= 1_000_000
    queue.release_worker("local/0")
    assert claimed(queue).attempt == 2


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
