"""Callbacks: delivered, repeated, given up, replayed; and what a kill, a slow receiver or a clock does to them."""

from __future__ import annotations

import base64
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import text, update
from standardwebhooks import Webhook
from structlog.testing import capture_logs

from stemwright.database import tables
from stemwright.errors import DatabaseUnavailableError
from stemwright.service.callbacks import ERROR_PAUSE_S, POLL_S, Bodies, CallbackLoop, Callbacks, Delivery
from stemwright.service.errors import Conflict, NotFound
from stemwright.service.ids import dashed
from stemwright.service.keys import Caller
from stemwright.service.signatures import vendor_signature
from stemwright.service.task import Task
from stemwright.service.url_fetcher import Fetcher
from tests.service.conftest import Domain, OpenDomain, database_environment, sqlite_only
from tests.stand_in import StandIn
from tests.waiting import wait_until

BODIES: Bodies = {
    "kie": lambda task: {"code": 200, "data": {"task_id": task.id}},
    "crun": lambda task: {"task_id": dashed(task.id), "status": task.state},
    "native": lambda task: {"type": "separation.succeeded", "data": {"id": dashed(task.id)}},
}


@pytest.fixture
def world() -> Iterator[StandIn]:
    with StandIn() as stand_in:
        yield stand_in


@pytest.fixture
def callbacks(domain: Domain) -> Iterator[Callbacks]:
    with opened(domain) as made:
        yield made


@contextmanager
def opened(domain: Domain) -> Iterator[Callbacks]:
    made = Callbacks(domain.database, domain.settings, Fetcher(domain.settings), domain.tasks, domain.clock)
    yield made
    made.close()


def ended(domain: Domain, caller: Caller, url: str | None, **changes: object) -> Task:
    task = domain.submit(caller, callback_url=url, **changes)
    assert domain.work.fail(task.id, None, 500, "Vocal separation failed")
    return task


def attempts(callbacks: Callbacks, task: Task) -> list[tuple[int, str, int | None]]:
    return [(entry.attempt, entry.state, entry.status_code) for entry in callbacks.log(task.account_id, task.id)]


def test_a_callback_is_delivered_once(domain: Domain, callbacks: Callbacks, world: StandIn) -> None:
    task = ended(domain, domain.caller(), f"{world.url}/hook?for=me")
    assert callbacks.run_due(BODIES) == 1
    assert callbacks.run_due(BODIES) == 0
    (request,) = world.of("/hook")
    assert request.json == {"code": 200, "data": {"task_id": task.id}}
    assert request.query == {"for": "me"}
    assert request.headers["content-type"] == "application/json"
    assert not [name for name in request.headers if "webhook" in name]  # no key, no signature
    (entry,) = callbacks.log(task.account_id, task.id)
    assert (entry.attempt, entry.state, entry.status_code, entry.error) == (1, "delivered", 200, None)
    assert entry.attempted_at == domain.clock.now


def test_tasks_without_a_url_call_nobody(domain: Domain, callbacks: Callbacks) -> None:
    task = ended(domain, domain.caller(), None)
    assert callbacks.run_due(BODIES) == 0
    assert callbacks.log(task.account_id, task.id) == []


@pytest.mark.parametrize("face", ["kie", "crun", "native"])
def test_signatures_use_the_faces_own_spelling(open_domain: OpenDomain, world: StandIn, face: Any) -> None:
    domain = open_domain(webhook_key="the key")
    domain.clock.now = time.time()
    with opened(domain) as callbacks:
        task = ended(domain, domain.caller(), f"{world.url}/hook", face=face)
        callbacks.run_due(BODIES)
        (request,) = world.of("/hook")
        stamp = int(request.headers["x-webhook-timestamp"])
        named = task.id if face == "kie" else dashed(task.id)
        assert stamp == int(domain.clock.now)
        assert request.headers["x-webhook-signature"] == vendor_signature("the key", named, stamp)
        secret = "whsec_" + base64.b64encode(b"the key").decode()
        assert Webhook(secret).verify(request.body, request.headers) == request.json


def test_failures_are_repeated_by_the_schedule_and_then_given_up(
    domain: Domain, callbacks: Callbacks, world: StandIn
) -> None:
    world.callback_statuses = [500, 404, 302, 199 + 300]
    task = ended(domain, domain.caller(), f"{world.url}/hook")
    for sent, wait_s in enumerate((60, 300, 900), 1):
        assert callbacks.run_due(BODIES) == 1
        assert len(world.received) == sent
        domain.clock.now += wait_s - 1
        assert callbacks.run_due(BODIES) == 0, f"attempt {sent + 1} came before its time"
        domain.clock.now += 1
    assert callbacks.run_due(BODIES) == 1
    assert attempts(callbacks, task) == [(1, "failed", 500), (2, "failed", 404), (3, "failed", 302), (4, "dead", 499)]
    domain.clock.now += 10**6
    assert callbacks.run_due(BODIES) == 0


def test_messages_keep_their_id_from_try_to_try(open_domain: OpenDomain, world: StandIn) -> None:
    domain = open_domain(webhook_key="k", callback_retry_s="0")
    with opened(domain) as callbacks:
        world.callback_statuses = [503, 200]
        task = ended(domain, domain.caller(), f"{world.url}/hook")
        callbacks.run_due(BODIES)
        domain.clock.now += 5
        callbacks.run_due(BODIES)
        first, second = world.of("/hook")
        assert first.headers["webhook-id"] == second.headers["webhook-id"] == f"msg_{task.id}"
        assert int(second.headers["webhook-timestamp"]) == int(first.headers["webhook-timestamp"]) + 5


def test_a_dead_letter_can_be_replayed(open_domain: OpenDomain, world: StandIn) -> None:
    domain = open_domain(callback_retry_s="")
    with opened(domain) as callbacks:
        world.callback_statuses = [500, 200]
        task = ended(domain, domain.caller(), f"{world.url}/hook")
        callbacks.run_due(BODIES)
        assert attempts(callbacks, task) == [(1, "dead", 500)]
        replayed = callbacks.replay(task.account_id, task.id)
        assert (replayed.attempt, replayed.state, replayed.due_at) == (2, "pending", domain.clock.now)
        assert callbacks.run_due(BODIES) == 1
        assert attempts(callbacks, task) == [(1, "dead", 500), (2, "delivered", 200)]


def test_a_replay_brings_forward_what_waits(domain: Domain, callbacks: Callbacks, world: StandIn) -> None:
    world.callback_statuses = [500, 200]
    task = ended(domain, domain.caller(), f"{world.url}/hook")
    callbacks.run_due(BODIES)
    assert callbacks.run_due(BODIES) == 0
    assert callbacks.replay(task.account_id, task.id).attempt == 2
    assert callbacks.run_due(BODIES) == 1
    assert attempts(callbacks, task) == [(1, "failed", 500), (2, "delivered", 200)]


def test_log_and_replay_are_the_accounts_own(domain: Domain, callbacks: Callbacks) -> None:
    alice, bob = domain.caller("alice"), domain.caller("bob")
    task = ended(domain, alice, "https://noop")
    for ask in (callbacks.log, callbacks.replay):
        with pytest.raises(NotFound):
            ask(bob.account_id, task.id)
    silent = ended(domain, alice, None)
    with pytest.raises(Conflict, match="no callback URL"):
        callbacks.replay(alice.account_id, silent.id)
    waiting = domain.submit(alice)
    with pytest.raises(Conflict, match="has not ended"):
        callbacks.replay(alice.account_id, waiting.id)


@pytest.mark.parametrize(
    "url",
    [
        "http://169.254.169.254/latest/meta-data/",
        "http://10.0.0.1/hook",
        "http://user:pw@example.com/",
        "http://0x7f000001/",
    ],
)
def test_what_the_guard_refuses_is_blocked_and_not_repeated(domain: Domain, callbacks: Callbacks, url: str) -> None:
    task = ended(domain, domain.caller(), url)
    assert callbacks.run_due(BODIES) == 1
    (entry,) = callbacks.log(task.account_id, task.id)
    assert entry.state == "blocked" and entry.error and entry.status_code is None
    after = domain.tasks.any(task.id)
    assert after is not None and after.state == "failed" and after.error_code == 500  # the task is as it was


def test_what_cannot_be_reached_is_told_and_repeated(domain: Domain, callbacks: Callbacks) -> None:
    with StandIn() as gone:
        url = gone.url
    task = ended(domain, domain.caller(), url)
    callbacks.run_due(BODIES)
    first, second = callbacks.log(task.account_id, task.id)
    assert first.state == "failed" and first.error is not None and "could not be reached" in first.error
    assert second.state == "pending"


def test_a_silent_receiver_has_so_much_time_and_no_more(open_domain: OpenDomain, world: StandIn) -> None:
    domain = open_domain(callback_timeout_s=0.3)
    with opened(domain) as callbacks:
        task = ended(domain, domain.caller(), f"{world.url}/faults/drip-head")
        callbacks.run_due(BODIES)
        assert attempts(callbacks, task)[0] == (1, "failed", None)


def test_each_try_has_twice_the_time_of_the_one_before(
    open_domain: OpenDomain, world: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[float] = []
    post = Fetcher.post

    def noted(self: Fetcher, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> int:
        given.append(timeout_s)
        return post(self, url, body, headers, timeout_s)

    monkeypatch.setattr(Fetcher, "post", noted)
    world.callback_statuses = [500] * 6
    domain = open_domain(callback_timeout_s=15.0, callback_retry_s=(1.0,) * 5)
    with opened(domain) as callbacks:
        ended(domain, domain.caller(), f"{world.url}/hook")
        for _ in range(6):
            assert callbacks.run_due(BODIES) == 1
            domain.clock.now += 1
    assert given == [15.0, 30.0, 60.0, 120.0, 120.0, 120.0]


def test_a_body_that_cannot_be_written_stops_nobody_else(domain: Domain, callbacks: Callbacks, world: StandIn) -> None:
    def broken(task: Task) -> dict[str, Any]:
        raise KeyError("vocals")

    lost = ended(domain, domain.caller(), f"{world.url}/hook", face="crun")
    fine = ended(domain, domain.caller("bob"), f"{world.url}/hook")
    callbacks.run_due({**BODIES, "crun": broken})
    assert attempts(callbacks, fine) == [(1, "delivered", 200)]
    assert callbacks.log(lost.account_id, lost.id)[0].error == "The callback could not be written: KeyError."
    domain.clock.now += 60
    callbacks.run_due(BODIES)
    assert attempts(callbacks, lost) == [(1, "failed", None), (2, "delivered", 200)]


def test_a_clock_that_was_put_back_delays_nothing(domain: Domain, callbacks: Callbacks, world: StandIn) -> None:
    world.callback_statuses = [500, 200]
    task = ended(domain, domain.caller(), f"{world.url}/hook")
    domain.clock.now -= 100  # the first attempt seems to lie in the future
    assert callbacks.run_due(BODIES) == 1
    domain.clock.now -= 10**6  # and so does the second, further than any schedule
    assert callbacks.run_due(BODIES) == 1
    assert attempts(callbacks, task) == [(1, "failed", 500), (2, "delivered", 200)]


def test_slow_receivers_hold_up_nobody_else(open_domain: OpenDomain, world: StandIn) -> None:
    domain = open_domain(rate_limit="0", callback_timeout_s=240.0)
    with opened(domain) as callbacks:
        world.break_with("silent", "/slow")
        alice, bob = domain.caller("alice"), domain.caller("bob")
        for _ in range(80):  # more than there are threads
            ended(domain, alice, f"{world.url}/slow")
        loop = CallbackLoop(callbacks, BODIES)
        loop.start()
        world.wait_for("/slow", 8)
        ended(domain, bob, f"{world.url}/hook")
        world.wait_for("/hook", timeout_s=240)
        assert len(world.of("/slow")) == 8  # an account's share
        world.closing.set()  # lets go of the slow ones
        loop.stop()


def test_the_loop_sends_by_itself_and_once(domain: Domain, callbacks: Callbacks, world: StandIn) -> None:
    loop = CallbackLoop(callbacks, BODIES)
    loop.start()
    task = ended(domain, domain.caller(), f"{world.url}/hook")
    world.wait_for("/hook", timeout_s=240)
    loop.wake()
    time.sleep(2 * POLL_S)
    loop.stop()
    assert len(world.received) == 1
    assert attempts(callbacks, task) == [(1, "delivered", 200)]


def test_a_delivery_that_somebody_else_settled_stays_so(domain: Domain, callbacks: Callbacks, world: StandIn) -> None:
    task = ended(domain, domain.caller(), f"{world.url}/hook")

    def settle_meanwhile(task: Task) -> dict[str, Any]:
        with domain.database.write() as session:
            session.execute(update(tables.Delivery).values(state="delivered", status_code=201))
        return {}

    world.callback_statuses = [500]
    callbacks.run_due({**BODIES, "kie": settle_meanwhile})
    assert attempts(callbacks, task) == [(1, "delivered", 201)]


@sqlite_only
def test_a_full_disk_does_not_make_it_send_over_and_over(
    domain: Domain, callbacks: Callbacks, world: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = ended(domain, domain.caller(), f"{world.url}/hook")
    pauses, resumes = threading.Event(), threading.Event()

    def pause(seconds: float) -> None:
        assert seconds == ERROR_PAUSE_S
        pauses.set()
        resumes.wait()

    monkeypatch.setattr(callbacks._closing, "wait", pause)
    with domain.database.write() as session:
        session.execute(
            text("CREATE TRIGGER full BEFORE UPDATE ON callback_deliveries BEGIN SELECT RAISE(FAIL, 'full'); END")
        )
    started = callbacks.start_due(BODIES)
    assert pauses.wait(240)
    assert callbacks.start_due(BODIES) == []
    resumes.set()
    wait(started)
    assert attempts(callbacks, task) == [(1, "pending", None)]
    with domain.database.write() as session:
        session.execute(text("DROP TRIGGER full"))
    assert callbacks.run_due(BODIES) == 1
    assert attempts(callbacks, task) == [(1, "delivered", 200)]


KILLED = """
import sys
from pathlib import Path
from stemwright.database.engine import Database
from stemwright.service.callbacks import Callbacks
from stemwright.service.url_fetcher import Fetcher
from stemwright.service.task import load_task
from stemwright.settings import read_settings

settings = read_settings(data=Path(sys.argv[1]))
database = Database.open(settings)

class Tasks:
    def any(self, task_id):
        with database.read() as session:
            return load_task(session, task_id)

Callbacks(database, settings, Fetcher(settings), Tasks()).run_due({"kie": lambda task: {"data": {"task_id": task.id}}})
"""


def test_a_kill_in_the_middle_sends_it_again(domain: Domain, callbacks: Callbacks, world: StandIn) -> None:
    task = ended(domain, domain.caller(), f"{world.url}/hook")
    world.break_with("silent", "/hook")
    command = [sys.executable, "-c", KILLED, str(domain.settings.data)]
    with subprocess.Popen(command, env=database_environment(domain)) as process:
        world.wait_for("/hook", timeout_s=240)
        process.send_signal(signal.SIGKILL)
    assert attempts(callbacks, task) == [(1, "pending", None)]
    world.break_with(None, "/hook")
    with domain.database.write() as session:
        session.execute(update(tables.Delivery).values(claimed_until=None))  # on PostgreSQL a claim of 75 s has ended
    assert callbacks.run_due(BODIES) == 1
    assert attempts(callbacks, task) == [(1, "delivered", 200)]
    assert [request.json["data"]["task_id"] for request in world.of("/hook")] == [task.id, task.id]


def test_a_deleted_task_calls_nobody(domain: Domain, callbacks: Callbacks, world: StandIn) -> None:
    task = ended(domain, domain.caller(), f"{world.url}/hook")
    domain.tasks.delete(task.account_id, task.id)
    assert callbacks.run_due(BODIES) == 0
    assert not world.received


def test_offline_blocks(open_domain: OpenDomain, world: StandIn) -> None:
    domain = open_domain(offline=True)
    with opened(domain) as callbacks:
        task = ended(domain, domain.caller(), f"{world.url}/hook")
        callbacks.run_due(BODIES)
        (entry,) = callbacks.log(task.account_id, task.id)
        assert isinstance(entry, Delivery) and entry.state == "blocked"
        assert not world.received


@sqlite_only
def test_a_database_that_is_away_is_logged_once_and_callbacks_go_on(
    domain: Domain, callbacks: Callbacks, world: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended(domain, domain.caller(), f"{world.url}/hook")
    answers: list[Exception | None] = [DatabaseUnavailableError("It is starting.")] * 3 + [None]
    start_due = callbacks.start_due

    def start(bodies: Bodies) -> list[Future[None]]:
        if answers and (error := answers.pop(0)) is not None:
            raise error
        return start_due(bodies)

    monkeypatch.setattr(callbacks, "start_due", start)
    loop = CallbackLoop(callbacks, BODIES)
    with capture_logs() as logged:
        loop.start()
        wait_until(lambda: world.of("/hook"), "the callback comes")
        loop.stop()
    said = [entry for entry in logged if entry["log_level"] in ("warning", "error")]
    assert [entry["event"] for entry in said] == ["callbacks wait until the database answers"]
    assert said[0]["reason"] == "It is starting."
