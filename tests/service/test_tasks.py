from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from stemwright.service import server_state
from stemwright.service.errors import (
    Conflict,
    InsufficientCredits,
    InvalidRequest,
    NotFound,
    RateLimited,
    ServiceError,
    SwitchedOff,
    TooManyRunning,
    UnderMaintenance,
)
from stemwright.service.submissions import MAINTENANCE
from stemwright.service.task import Task
from stemwright.service.task_list import TaskQuery
from tests.service.conftest import Domain, OpenDomain


def test_a_task_is_charged_queued_and_seen_by_its_account_only(domain: Domain) -> None:
    alice, bob = domain.caller("alice", credits=15), domain.caller("bob")
    task = domain.submit(alice)
    assert (task.state, task.price, task.stems_asked) == ("pending", 1000, "two")
    assert domain.ledger.balance(alice.account_id) == 500
    assert domain.queue.depth() == 1
    assert domain.tasks.get(alice.account_id, task.id) == task
    assert domain.tasks.get(bob.account_id, task.id) is None
    assert domain.tasks.list(bob.account_id) == []
    with pytest.raises(NotFound):
        domain.tasks.cancel(bob.account_id, task.id)
    with pytest.raises(NotFound):
        domain.tasks.delete(bob.account_id, task.id)
    with pytest.raises(NotFound):
        domain.submit(bob, track_id=task.track_id, source_url=None)


def test_an_order_that_is_refused_leaves_nothing(open_domain: OpenDomain) -> None:
    domain = open_domain(disabled="split_stem", max_running=1, rate_limit="3/100")
    caller = domain.caller(credits=15)
    refusals: list[tuple[type[ServiceError], Callable[[], Task]]] = [
        (SwitchedOff, lambda: domain.submit(caller, kind="split_stem", stems="twelve")),
        (InvalidRequest, lambda: domain.submit(caller, source_url=None)),
        (InsufficientCredits, lambda: domain.submit(caller, kind="split_stem_advanced", stems="drums")),
    ]
    for kind, submit in refusals:
        with pytest.raises(kind):
            submit()
    assert domain.tasks.list(caller.account_id) == []
    assert domain.tracks.list(caller.account_id) == []
    assert domain.queue.depth() == 0
    assert domain.ledger.balance(caller.account_id) == 1500
    domain.submit(caller)
    with pytest.raises(RateLimited) as caught:  # two of the refused ones got as far as the window of three
        domain.submit(caller)
    assert 0 < caught.value.retry_after_s <= 101
    assert domain.ledger.balance(caller.account_id) == 500


def test_a_key_has_limits_of_its_own(domain: Domain) -> None:
    slow = domain.keys.authenticate(domain.keys.create("slow", rate_limit="1/60").key)
    narrow = domain.keys.authenticate(domain.keys.create("narrow", max_running=1).key)
    domain.submit(slow)
    with pytest.raises(RateLimited):
        domain.submit(slow)
    domain.submit(narrow)
    with pytest.raises(TooManyRunning):
        domain.submit(narrow)
    while (lease := domain.queue.claim("w", 30)) is not None:
        assert domain.work.begin(lease.task_id, lease.token)
        assert domain.succeed(lease)
    assert domain.submit(narrow).state == "pending"


def test_under_maintenance_nothing_new_is_taken(domain: Domain) -> None:
    caller = domain.caller()
    before = domain.submit(caller)
    with domain.database.write() as session:
        server_state.put(session, MAINTENANCE, "on")
    with pytest.raises(UnderMaintenance):
        domain.submit(caller)
    assert domain.succeed(domain.hold())  # what is under way goes on
    with domain.database.write() as session:
        server_state.put(session, MAINTENANCE, "off")
    assert domain.submit(caller).id != before.id


def test_success_keeps_the_charge_and_queues_one_callback(domain: Domain) -> None:
    caller = domain.caller(credits=10)
    task = domain.submit(caller)
    lease = domain.hold()
    domain.clock.now += 5
    assert domain.succeed(lease)
    ended = domain.tasks.get(caller.account_id, task.id)
    assert ended is not None
    assert (ended.state, ended.progress, ended.ended_at) == ("succeeded", 1.0, domain.clock.now)
    assert [stem.name for stem in ended.stems] == ["vocals", "instrumental"]
    assert domain.ledger.balance(caller.account_id) == 0
    assert domain.deliveries(task.id) == 1
    assert domain.queue.depth() == 0
    # The second end of the same task changes nothing.
    assert not domain.succeed(lease)
    assert not domain.work.fail(task.id, None, 500, "late")
    assert domain.deliveries(task.id) == 1


def test_a_task_that_was_given_back_is_cancelled_at_once(domain: Domain) -> None:
    caller = domain.caller()
    task = domain.submit(caller)
    domain.queue.release(domain.hold())
    assert domain.tasks.cancel(caller.account_id, task.id).state == "cancelled"
    assert domain.queue.claim("w", 30) is None


def test_progress_never_goes_back_and_the_length_reaches_the_track(domain: Domain) -> None:
    caller = domain.caller()
    task = domain.submit(caller)
    lease = domain.hold()
    for fraction, shown in ((0.4, 0.4), (0.2, 0.4), (None, 0.4), (0.9, 0.9)):
        assert domain.work.progress(task.id, lease.token, "separating", fraction)
        seen = domain.tasks.any(task.id)
        assert seen is not None and seen.progress == shown
    assert domain.succeed(lease)
    track = domain.tracks.get(caller.account_id, task.track_id)
    assert track is not None and track.seconds == 2.0


@pytest.mark.parametrize("end", ["fail", "cancel pending", "cancel running"])
def test_a_task_without_success_gives_its_credits_back_once(domain: Domain, end: str) -> None:
    caller = domain.caller(credits=10)
    task = domain.submit(caller)
    assert domain.ledger.balance(caller.account_id) == 0
    if end == "cancel pending":
        assert domain.tasks.cancel(caller.account_id, task.id).state == "cancelled"
    else:
        lease = domain.hold()
        if end == "fail":
            assert domain.work.fail(task.id, lease.token, 501, "It did not work.")
            assert not domain.work.fail(task.id, lease.token, 501, "It did not work.")
        else:
            assert domain.tasks.cancel(caller.account_id, task.id).state == "running"
            assert domain.work.is_cancelled(task.id)
            assert not domain.work.progress(task.id, lease.token, "separating", 0.5)
            assert domain.work.cancelled(task.id, lease.token)
    ended = domain.tasks.cancel(caller.account_id, task.id)  # cancelling an ended task changes nothing
    assert ended.state == ("failed" if end == "fail" else "cancelled")
    assert domain.ledger.balance(caller.account_id) == 1000
    assert [entry.reason for entry in domain.ledger.entries(caller.account_id)] == ["grant", "charge", "refund"]
    assert domain.ledger.imbalance() == {}
    assert domain.deliveries(task.id) == 1


def test_a_worker_that_lost_its_lease_can_change_nothing(domain: Domain) -> None:
    caller = domain.caller()
    task = domain.submit(caller)
    old = domain.hold("old")
    domain.lose_leases()
    new = domain.hold("new")
    assert (new.task_id, new.attempt) == (task.id, 2)
    assert not domain.work.progress(task.id, old.token, "writing", 0.9)
    assert not domain.succeed(old)
    assert not domain.work.fail(task.id, old.token, 500, "late")
    assert not domain.work.cancelled(task.id, old.token)
    assert domain.work.begin(task.id, old.token) is None
    assert domain.succeed(new)


def test_an_idempotency_key_gives_the_same_task_again(domain: Domain) -> None:
    caller, other = domain.caller("alice", credits=10), domain.caller("bob")
    first = domain.submit(caller, idempotency_key="k", body_digest="a")
    again = domain.submit(caller, idempotency_key="k", body_digest="a")
    assert again.id == first.id
    assert domain.ledger.balance(caller.account_id) == 0
    with pytest.raises(Conflict):
        domain.submit(caller, idempotency_key="k", body_digest="b")
    assert domain.submit(other, idempotency_key="k", body_digest="b").id != first.id


def test_of_many_orders_at_once_only_those_paid_for_are_taken(open_domain: OpenDomain) -> None:
    domain = open_domain(rate_limit="0")
    caller = domain.caller(credits=70)
    taken: list[str] = []
    refused: list[ServiceError] = []

    def order() -> None:
        for _ in range(5):
            try:
                taken.append(domain.submit(caller).id)
            except InsufficientCredits as error:
                refused.append(error)

    threads = [threading.Thread(target=order) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(set(taken)), len(refused)) == (7, 13)
    assert domain.ledger.balance(caller.account_id) == 0
    assert domain.ledger.imbalance() == {}
    assert domain.queue.depth() == 7


def test_pages_of_tasks_hold_each_once(open_domain: OpenDomain) -> None:
    domain = open_domain(rate_limit="0")
    caller = domain.caller()
    made = []
    for index in range(7):
        domain.clock.now += index % 2  # some at the same moment
        made.append(domain.submit(caller).id)
    seen: list[str] = []
    while page := domain.tasks.list(caller.account_id, TaskQuery(after=seen[-1] if seen else None, limit=3)):
        seen += [task.id for task in page]
    assert sorted(seen) == sorted(made)
    assert len(domain.tasks.list(caller.account_id, TaskQuery(state="succeeded"))) == 0
    with pytest.raises(NotFound):
        domain.tasks.list(caller.account_id, TaskQuery(after="0" * 32))


def test_a_key_whose_task_was_deleted_makes_a_new_one(domain: Domain) -> None:
    caller = domain.caller()
    first = domain.submit(caller, idempotency_key="k", body_digest="a")
    domain.tasks.cancel(caller.account_id, first.id)
    domain.tasks.delete(caller.account_id, first.id)
    assert domain.submit(caller, idempotency_key="k", body_digest="a").id != first.id


def test_deleting_takes_an_ended_task_with_all_that_hangs_on_it(domain: Domain) -> None:
    caller = domain.caller()
    task = domain.submit(caller)
    with pytest.raises(Conflict):
        domain.tasks.delete(caller.account_id, task.id)
    assert domain.succeed(domain.hold(), cache_key="r")
    assert (
        domain.work.cached_result("r", caller.account_id) is not None
        and domain.work.cached_result("r", None) is not None
    )
    assert domain.work.cached_result("r", domain.caller("bob").account_id) is None
    domain.tasks.delete(caller.account_id, task.id)
    assert domain.tasks.get(caller.account_id, task.id) is None
    assert domain.work.cached_result("r", None) is None
    assert domain.deliveries(task.id) == 0
