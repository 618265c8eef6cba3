"""What is the own of the queue on PostgreSQL: plans, workers on many machines, notifications, Procrastinate's schema."""

import threading
import uuid
from collections.abc import Iterator

import pytest
import sqlalchemy
from sqlalchemy import text

from stemwright.database import procrastinate_schema, schema
from stemwright.database.engine import Database
from stemwright.database.tables import Account, Job, Task, Worker
from stemwright.errors import StorageError
from stemwright.jobs.procrastinate_queue import ProcrastinateQueue
from stemwright.jobs.queue import Abilities, Order
from tests.jobs.conftest import enqueue
from tests.jobs.test_queue import claimed
from tests.waiting import wait_until

Heard = tuple[threading.Event, list[str]]


@pytest.fixture
def database_url(postgresql_url: str) -> str:
    return postgresql_url


@pytest.fixture
def queue(database: Database) -> ProcrastinateQueue:
    return ProcrastinateQueue(database)


@pytest.fixture
def listening(queue: ProcrastinateQueue) -> Iterator[Heard]:
    """An event that is set when a task waits, and the tasks that are cancelled; a listener writes both."""
    waiting, cancelled = threading.Event(), list[str]()
    stop = queue.listen(waiting.set, cancelled.append)
    wait_until(waiting.is_set, "it listens")
    yield waiting, cancelled
    stop()


def able(database: Database, *plans: str) -> ProcrastinateQueue:
    return ProcrastinateQueue(database, Abilities(plans=plans, device="cuda:0", memory_mb=4000))


def test_a_worker_gets_only_what_it_can_do(database: Database, queue: ProcrastinateQueue) -> None:
    for plan in ("best", "fast", "good"):
        enqueue(database, queue, f"task-{plan}", plan=plan)
    enqueue(database, queue, "task-wav", kind="conversion", account="bob")
    small = able(database, "fast")
    assert {claimed(small).task_id for _ in range(2)} == {"task-fast", "task-wav"}
    assert small.claim("local/0", 30) is None
    large = able(database, "good", "best")
    assert {claimed(large).task_id for _ in range(2)} == {"task-best", "task-good"}
    converter = ProcrastinateQueue(database, Abilities(queues=("conversion",)))
    enqueue(database, queue, "task-more", plan="fast")
    assert converter.claim("local/1", 30) is None


def test_accounts_take_turns_over_all_plans(database: Database, queue: ProcrastinateQueue) -> None:
    for place in range(3):
        enqueue(database, queue, f"a-best-{place}", plan="best", account="alice")
        enqueue(database, queue, f"a-fast-{place}", plan="fast", account="alice", priority=1)
    enqueue(database, queue, "b", plan="fast", account="bob")
    order = [claimed(queue).task_id for _ in range(4)]
    assert order == ["a-fast-0", "b", "a-fast-1", "a-fast-2"]


def test_a_worker_says_what_it_can_and_is_gone_when_it_is_released(database: Database) -> None:
    queue = able(database, "best", "fast")
    assert queue.claim("gpu-7/0", 30) is None
    with database.read() as session:
        worker = session.query(Worker).one()
    assert (worker.name, worker.plans, worker.queues) == ("gpu-7/0", "best,fast", "separation,conversion")
    assert (worker.device, worker.memory_mb) == ("cuda:0", 4000)
    queue.release_worker("gpu-7")
    with database.read() as session:
        assert session.query(Worker).count() == 0
        assert session.scalar(text("SELECT count(*) FROM procrastinate_workers")) == 0


def test_a_worker_kept_alive_from_outside_keeps_its_task(database: Database, queue: ProcrastinateQueue) -> None:
    """As its supervisor does while a library is loaded, which stops all threads of the worker."""
    enqueue(database, queue, "one", "two")
    kept, lost = claimed(queue, "a/0"), claimed(queue, "b/0")
    with database.write() as session:
        session.execute(text("UPDATE procrastinate_workers SET last_heartbeat = now() - interval '40 s'"))
    queue.keep_alive(["a/0"])
    assert claimed(queue, "c/0").task_id == "two"
    assert queue.extend(kept, 30)
    assert not queue.extend(lost, 30)


def test_a_job_that_its_owner_cancels_at_this_moment_holds_nobody_up(
    database: Database, queue: ProcrastinateQueue
) -> None:
    enqueue(database, queue, "first", "second")
    with database.write() as session:
        assert not queue.request_cancel(session, "first")
        assert claimed(queue).task_id == "second"
        queue.remove(session, "first")
    assert queue.claim("local/0", 30) is None


def test_listeners_hear_of_waiting_and_cancelled_tasks(
    database: Database, queue: ProcrastinateQueue, listening: Heard
) -> None:
    waiting, cancelled = listening
    waiting.clear()
    enqueue(database, queue, "task")
    wait_until(waiting.is_set)
    waiting.clear()
    lease = claimed(queue)
    with database.write() as session:
        assert queue.request_cancel(session, "task")
        assert cancelled == []
    wait_until(lambda: cancelled == ["task"])
    waiting.clear()
    queue.release(lease)
    wait_until(waiting.is_set)


def test_a_listener_that_lost_its_connection_looks_for_what_it_missed(
    database: Database, queue: ProcrastinateQueue, listening: Heard
) -> None:
    _, cancelled = listening
    enqueue(database, queue, "task")
    claimed(queue)
    with database.write() as session:
        # Ended at the commit, in the same moment as the notification.
        session.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                "WHERE datname = current_database() AND (query LIKE 'LISTEN%' OR query LIKE 'SELECT lock FROM%')"
            )
        )
        assert queue.request_cancel(session, "task")
    wait_until(lambda: "task" in cancelled)


def test_an_ended_task_leaves_no_row_behind(database: Database, queue: ProcrastinateQueue) -> None:
    enqueue(database, queue, "one", "two")
    queue.complete(claimed(queue))
    with database.write() as session:
        queue.remove(session, "two")
    with database.read() as session:
        for table in ("procrastinate_jobs", "procrastinate_events"):
            assert session.scalar(text(f"SELECT count(*) FROM {table}")) == 0


def test_jobs_survive_the_migration_up_and_down(empty_postgresql_url: str) -> None:
    database = Database(empty_postgresql_url)
    dialect = database._dialect
    database.migrate()
    schema.downgrade(dialect, "0007")
    ids = [uuid.uuid4().hex for _ in range(3)]
    with database.write() as session:
        session.add(Account(id="a" * 32, name="alice", created_at=0.0))
        session.flush()
        for place, task_id in enumerate(ids):
            session.add(
                Task(
                    id=task_id,
                    account_id="a" * 32,
                    face="kie",
                    kind="separate_vocal",
                    state="pending",
                    stems="two" if place else "wav",
                    plan="best",
                    format="mp3",
                    created_at=0.0,
                    expires_at=0.0,
                )
            )
            session.add(Job(task_id=task_id, account_id="a" * 32, priority=0, queued_at=10.0 - place, attempts=1))
    for _ in range(2):
        database.migrate()
        queue = able(database, "best")
        with database.read() as session:
            rows = session.execute(text("SELECT args ->> 'task', queue_name, args ->> 'plan' FROM procrastinate_jobs"))
            assert [tuple(row) for row in rows.all()] == [
                (ids[2], "separation", "best"), (ids[1], "separation", "best"), (ids[0], "conversion", ""),
            ]  # fmt: skip
            assert session.query(Job).count() == 0
        schema.downgrade(dialect, "0007")
        with database.read() as session:
            assert {job.task_id for job in session.query(Job)} == set(ids)
    schema.downgrade(dialect, "base")
    with database.engine.connect() as connection:
        left = sqlalchemy.inspect(connection).get_table_names()
        assert left == ["alembic_version"]
        assert connection.scalar(text("SELECT count(*) FROM pg_type WHERE typname LIKE 'procrastinate%'")) == 0
    assert queue is not None
    database.close()


def test_a_newer_procrastinate_upgrades_its_tables(database: Database) -> None:
    """As if an older release had made them: its last migration replaced a trigger."""
    trigger = text("SELECT count(*) FROM pg_trigger WHERE tgname = 'procrastinate_trigger_status_events_update_v1'")
    with database.write() as session:
        session.execute(text("UPDATE facts SET value = '03.04.00_01' WHERE name = 'procrastinate_schema'"))
        session.execute(text("DROP TRIGGER procrastinate_trigger_status_events_update_v1 ON procrastinate_jobs"))
    for _ in range(2):
        database.migrate()
        with database.engine.connect() as connection:
            assert connection.scalar(trigger) == 1
            assert procrastinate_schema.found_version(connection) == procrastinate_schema.newest_version()


def test_tables_of_a_newer_procrastinate_are_refused(database: Database) -> None:
    with database.write() as session:
        session.execute(text("UPDATE facts SET value = '99.00.00_01' WHERE name = 'procrastinate_schema'"))
    with pytest.raises(StorageError, match=r"A newer Procrastinate made .*: pip install --upgrade"):
        database.migrate()


def test_a_task_that_is_queued_twice_is_refused(database: Database, queue: ProcrastinateQueue) -> None:
    enqueue(database, queue, "task")
    with pytest.raises(sqlalchemy.exc.IntegrityError), database.write() as session:
        queue.enqueue(session, Order("task", "alice"))
