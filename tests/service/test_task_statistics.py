"""Figures for operators, and that reading them stays cheap."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.service.keys import Caller
from stemwright.service.task_statistics import WINDOW_S, PlanQueue, PlanSpeed, TaskStatistics
from tests.service.conftest import Domain, sqlite_only


def test_what_waits_runs_and_ended(domain: Domain) -> None:
    statistics = TaskStatistics(domain.database, domain.clock)
    assert statistics.read().queues == () and statistics.read().running == 0
    alice = domain.caller()
    domain.submit(alice, plan="best")
    domain.clock.now += 50
    for _ in range(4):
        domain.submit(alice)
    domain.clock.now += 10
    read = statistics.read()
    assert read.queues == (PlanQueue("best", 1, 60.0), PlanQueue("fast", 4, 10.0))
    assert read.waiting == 5
    lease = domain.hold()  # the one of "best"
    assert statistics.read().running == 1
    domain.work.succeed(lease.task_id, lease.token, [], seconds=90.0, cache_key=None, facts={"elapsed_s": 30.0})
    for elapsed_s in (2.0, 8.0):
        lease = domain.hold()
        facts = {"elapsed_s": elapsed_s}
        domain.work.succeed(lease.task_id, lease.token, [], seconds=100.0, cache_key=None, facts=facts)
    lease = domain.hold()
    domain.work.succeed(lease.task_id, lease.token, [], seconds=100.0, cache_key=None, facts={})  # a WAV
    lease = domain.hold()
    domain.work.fail(lease.task_id, lease.token, 500, "it was no song")
    read = statistics.read()
    assert read.queues == () and read.running == 0
    assert read.ended == {"succeeded": 4, "failed": 1}
    assert read.speeds == (PlanSpeed("best", 1, 3.0), PlanSpeed("fast", 3, 20.0))
    domain.clock.now += WINDOW_S
    assert statistics.read().ended == {} and statistics.read().speeds == ()


def test_callbacks_that_are_late_and_those_given_up(domain: Domain) -> None:
    statistics = TaskStatistics(domain.database, domain.clock)
    alice = domain.caller()
    assert (statistics.read().callbacks_due, statistics.read().callback_lag_s) == (0, 0.0)
    for _ in range(2):
        _end_one(domain, alice)
        domain.clock.now += 7
    read = statistics.read()
    assert (read.callbacks_due, read.callback_lag_s, read.callbacks_dead) == (2, 14.0, 0)
    with domain.database.write() as session:
        for row in session.query(tables.Delivery):
            row.state, row.attempted_at = "dead", domain.clock()
    read = statistics.read()
    assert (read.callbacks_due, read.callback_lag_s, read.callbacks_dead) == (0, 0.0, 2)
    domain.clock.now += WINDOW_S
    assert statistics.read().callbacks_dead == 0


@sqlite_only
def test_no_query_reads_the_tasks_that_are_merely_kept(domain: Domain) -> None:
    statements: list[tuple[str, Any]] = []
    event.listen(
        domain.database.engine,
        "before_cursor_execute",
        lambda _connection, _cursor, statement, parameters, *_: statements.append((statement, parameters)),
    )
    TaskStatistics(domain.database, domain.clock).read()
    plans = [step for statement, parameters in statements for step in _plan(domain.database, statement, parameters)]
    reads = [step for step in plans if step.startswith(("SCAN", "SEARCH"))]
    assert len(reads) == 6
    assert [step for step in reads if "INDEX" not in step] == []
    assert [step for step in reads if step.startswith("SCAN") and "tasks_waiting" not in step] == []


def _end_one(domain: Domain, caller: Caller) -> None:
    domain.submit(caller)
    assert domain.succeed(domain.hold())


def _plan(database: Database, statement: str, parameters: Any) -> list[str]:
    if not statement.startswith("SELECT"):
        return []
    connection = database.engine.raw_connection()
    try:
        cursor = connection.cursor()
        cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        return [str(row[-1]) for row in cursor.fetchall()]
    finally:
        connection.close()
