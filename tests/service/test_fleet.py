"""Orders go to workers that can run them, wherever those are."""

from __future__ import annotations

import pytest

from stemwright.jobs.procrastinate_queue import ProcrastinateQueue
from stemwright.jobs.queue import Abilities
from stemwright.service import fleet
from stemwright.service.fleet import Fleet, fitting_plans, installed_plans
from tests.service.conftest import Domain, OpenDomain, postgresql_only, sqlite_only


@pytest.fixture(autouse=True)
def always_new(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fleet, "KEPT_S", 0.0)


def start_worker(domain: Domain, *plans: str) -> ProcrastinateQueue:
    queue = ProcrastinateQueue(domain.database, Abilities(plans=plans, device="cuda:0", memory_mb=4000))
    assert queue.claim(f"gpu/{plans[0]}", 60) is None
    return queue


@postgresql_only
def test_an_order_that_nobody_can_take_fails_at_once_and_gives_its_credits_back(domain: Domain) -> None:
    start_worker(domain, "fast")
    caller = domain.caller(credits=100)
    task = domain.submit(caller, plan="best")
    assert (task.state, task.error_code) == ("failed", 501)
    assert task.error_message == "No worker has the plan 'best' now: choose another one, or try again later."
    assert domain.ledger.balance(caller.account_id) == 10_000
    assert domain.deliveries(task.id) == 1
    assert domain.queue.depth() == 0
    assert domain.submit(caller, plan="fast").state == "pending"


@postgresql_only
def test_orders_wait_while_no_worker_runs_at_all(domain: Domain) -> None:
    caller = domain.caller()
    assert domain.submit(caller, plan="best").state == "pending"
    worker = ProcrastinateQueue(domain.database, Abilities(plans=("best",)))
    assert worker.claim("gpu/best", 60) is not None


@postgresql_only
def test_orders_wait_for_the_plans_that_the_operator_has_promised(open_domain: OpenDomain) -> None:
    domain = open_domain(worker_plans="best")
    start_worker(domain, "fast")
    caller = domain.caller()
    assert [domain.submit(caller, plan=plan).state for plan in ("best", "fast", "good")] == [
        "pending", "pending", "failed",
    ]  # fmt: skip


@postgresql_only
def test_auto_is_the_best_plan_that_a_worker_has(domain: Domain) -> None:
    caller = domain.caller()
    first = domain.submit(caller, plan="auto")
    assert first.plan == "fast"  # what this machine has
    domain.tasks.cancel(caller.account_id, first.id)
    start_worker(domain, "fast", "good")
    assert domain.submit(caller, plan="auto").plan == "good"
    ProcrastinateQueue(domain.database, Abilities(("conversion",), ("best",))).claim("gpu/best", 60)
    assert domain.submit(caller, plan="auto").plan == "best"


@postgresql_only
def test_the_workers_are_listed_with_what_they_do(domain: Domain) -> None:
    queue = start_worker(domain, "fast")
    task = domain.submit(domain.caller(), plan="fast")
    assert queue.claim("gpu/fast", 60) is not None
    (worker,) = Fleet(domain.database, domain.settings).workers()
    assert (worker.name, worker.plans, worker.task_id) == ("gpu/fast", ("fast",), task.id)
    assert (worker.device, worker.memory_mb) == ("cuda:0", 4000)
    assert 0.0 <= worker.silent_s < 3600.0


@sqlite_only
def test_one_machine_counts_as_its_only_worker(domain: Domain) -> None:
    found = Fleet(domain.database, domain.settings)
    assert found.workers() == [] and found.plans() == frozenset()
    assert found.has("fast", "two") and not found.has("best", "two")
    assert "fast" in installed_plans("cpu") and "best" not in installed_plans("cpu")
    assert domain.submit(domain.caller(), plan="best").state == "pending"


@sqlite_only
def test_plans_that_take_too_much_memory_are_left_out(domain: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemwright.models.weight_store.is_available", lambda _: True)
    installed = installed_plans("cpu")
    fitting = fitting_plans(domain.settings.model_copy(update={"device": "cpu", "worker_memory_mb": 1000}))
    assert set(fitting) == {name for name, needed_bytes in installed.items() if needed_bytes <= 1e9}
    assert "fast" in fitting and len(fitting) < len(installed)
    assert set(installed_plans("cuda:0").values()) < set(installed.values()), "what PyTorch runs is in the GPU's memory"
