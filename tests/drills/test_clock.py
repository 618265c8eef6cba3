"""A clock that jumps by hours, back and forth: leases, money, callbacks, links, files and limits outlast it."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from stemwright.api.app import callback_bodies
from stemwright.jobs.queue import Lease
from stemwright.service.errors import RateLimited
from stemwright.service.ids import new_id
from stemwright.service.keys import Caller
from stemwright.service.rate_limits import MemoryRateLimiter
from stemwright.service.service import Service
from stemwright.service.task import Stem, Submission, Task
from stemwright.settings import read_settings
from stemwright.stems import select
from tests.drills.proofs import prove_files, prove_ledger
from tests.drills.receiver import Receiver
from tests.drills.tree import CREDITS
from tests.service.conftest import MovableClock

HOUR_S = 3600.0
DAY_S = 24 * HOUR_S


class Shop:
    """A server without its processes: the test is its clients, its workers and its clock."""

    def __init__(self, data: Path, hook: str, **settings: object) -> None:
        self.clock = MovableClock()
        self.steady = MovableClock()
        self.service = Service.open(
            read_settings(data=data, **{"rate_limit": "0", **settings}), self.clock, self.steady
        )
        self.hook = hook
        key = self.service.keys.create("alice", credits_hundredths=CREDITS).key
        self.caller: Caller = self.service.keys.authenticate(key)
        self.tasks: list[str] = []

    def wait(self, seconds: float) -> None:
        """Time passes, on all clocks."""
        self.clock.now += seconds
        self.steady.now += seconds

    def submit(self) -> Task:
        """A new song and an order for it."""
        with self.service.store.writer() as writer:
            writer.write(new_id().encode())
            blob = writer.commit()
        track = self.service.tracks.add_stored(
            self.caller.account_id, blob, title="song", file_name="song.wav", media_type="audio/wav"
        )
        order = Submission("kie", "separate_vocal", "two", "fast", "mp3", track_id=track.id, callback_url=self.hook)
        task = self.service.tasks.submit(self.caller, order)
        self.tasks.append(task.id)
        return task

    def claim(self, worker: str = "local/0") -> Lease | None:
        """Takes a task in hand."""
        lease = self.service.queue.claim(worker, self.service.settings.lease_s)
        if lease is not None:
            assert self.service.worker_tasks.begin(lease.task_id, lease.token) is not None
        return lease

    def succeed(self, lease: Lease) -> bool:
        """Ends a task as a worker does, with files of its own; gives False where it is not the worker's any more."""
        stems = []
        for position, name in enumerate(select("two").names):
            with self.service.store.writer() as writer:
                writer.write(f"{name} of {lease.task_id}".encode())
                blob = writer.commit()
            stems.append(
                Stem(new_id(), name, position, blob.digest, "mp3", blob.size_bytes, 1.0, True, 1.0, None, None)
            )
        return self.service.worker_tasks.succeed(
            lease.task_id, lease.token, stems, seconds=1.0, cache_key=None, facts={}
        )

    def task(self, task_id: str) -> Task:
        """As it is now."""
        task = self.service.tasks.any(task_id)
        assert task is not None
        return task

    def deliver(self) -> int:
        """Makes the attempts that are due."""
        return self.service.callbacks.run_due(callback_bodies(self.service))

    def prove(self, receiver: Receiver) -> None:
        """All has ended, has been paid for once and told of, and its files are there."""
        tasks = {task_id: self.task(task_id) for task_id in self.tasks}
        assert all(task.has_ended for task in tasks.values())
        assert all(receiver.arrived[task_id] for task_id in tasks)
        prove_ledger(self.service, tasks)
        prove_files(self.service, tasks.values())


@pytest.fixture
def shop(tmp_path: Path, receiver: Receiver) -> Iterator[Shop]:
    shop = Shop(tmp_path / "data", receiver.url)
    yield shop
    shop.service.close()


@pytest.mark.parametrize("jump_s", [5 * HOUR_S, -5 * HOUR_S])
def test_a_task_ends_once_whoever_thinks_to_hold_it(shop: Shop, receiver: Receiver, jump_s: float) -> None:
    shop.submit()
    first = shop.claim("local/0")
    assert first is not None
    shop.clock.now += jump_s
    assert shop.service.queue.extend(first, shop.service.settings.lease_s)
    assert shop.claim("local/1") is None, "who lives keeps its task"
    shop.service.queue.release_worker("local/0")  # it dies
    second = shop.claim("local/1")
    assert second is not None and second.attempt == 2, (
        "whose worker died is had by the next one, whatever the clock says"
    )
    assert not shop.succeed(first)
    shop.clock.now -= jump_s
    assert shop.succeed(second)
    assert not shop.succeed(second)
    assert shop.deliver() == 1
    shop.prove(receiver)


@pytest.mark.parametrize("jump_s", [5 * HOUR_S, -5 * HOUR_S])
def test_a_callback_that_failed_is_sent_again(shop: Shop, receiver: Receiver, jump_s: float) -> None:
    task = shop.submit()
    lease = shop.claim()
    assert lease is not None and shop.succeed(lease)
    receiver.status = 503
    assert shop.deliver() == 1
    assert shop.deliver() == 0, "it waits a minute"
    shop.clock.now += jump_s
    receiver.status = 200
    assert shop.deliver() == 1
    shop.clock.now -= jump_s
    assert shop.deliver() == 0, "what arrived is not sent again"
    assert receiver.arrived[task.id] == 2


def test_links_and_files_live_by_the_day_and_not_by_the_jump(shop: Shop, receiver: Receiver) -> None:
    task = shop.submit()
    lease = shop.claim()
    assert lease is not None and shop.succeed(lease)
    assert shop.deliver() == 1
    task = shop.task(task.id)
    url = shop.service.links.stem_url(task.stems[0], task)
    for jump_s in (5 * HOUR_S, -10 * HOUR_S, 5 * HOUR_S):
        shop.clock.now += jump_s
        assert shop.service.links.resolve(url) is not None
        assert shop.service.links.stem_url(task.stems[0], task) == url
        shop.service.retention.sweep()
        shop.prove(receiver)
    shop.wait(14 * DAY_S + 1)
    assert shop.service.links.resolve(url) is None
    shop.service.retention.sweep()
    assert shop.service.tasks.any(task.id) is None
    shop.wait(HOUR_S + 1)
    shop.service.retention.sweep()
    assert not list(shop.service.store.digests()), "files go an hour after the last row that named them"


def test_limits_of_rate_are_not_measured_by_a_clock_that_can_be_set(
    tmp_path: Path, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = Shop(tmp_path / "data", receiver.url, rate_limit="2/600")
    shop.submit()
    shop.submit()
    real, jump_s = time.time, [5 * HOUR_S]
    monkeypatch.setattr(time, "time", lambda: real() + jump_s[0])
    with pytest.raises(RateLimited):
        shop.submit()
    jump_s[0] = -5 * HOUR_S
    limiter = shop.service.tasks._submissions._rate_limiter
    assert isinstance(limiter, MemoryRateLimiter)
    measured = limiter._clock
    monkeypatch.setattr(limiter, "_clock", lambda: measured() + 601)
    shop.submit()
    shop.service.close()


def walk(shop: Shop, receiver: Receiver, chance: random.Random, n_steps: int) -> None:
    """Clients, workers, callbacks and sweeps in any order, with jumps of hours between."""
    start, held = shop.clock.now, dict[str, Lease]()
    for _ in range(n_steps):
        shop.clock.now = start + chance.uniform(-5, 5) * HOUR_S
        receiver.status = chance.choice((200, 200, 503))
        worker = f"local/{chance.randrange(3)}"
        match chance.randrange(7):
            case 0 | 1:
                shop.submit()
            case 2 if (lease := shop.claim(worker)) is not None:
                held[worker] = lease
            case 3 if worker in held:
                shop.succeed(held.pop(worker))
            case 4 if worker in held:
                lease = held.pop(worker)
                shop.service.worker_tasks.fail(lease.task_id, lease.token, 501, "The drill wants it.")
            case 5:
                held.pop(worker, None)
                shop.service.queue.release_worker(worker)
            case _:
                shop.deliver()
                shop.service.retention.sweep()
    receiver.status = 200
    shop.service.queue.release_worker("local")
    while (lease := shop.claim()) is not None:
        assert shop.succeed(lease)
    while shop.deliver():
        pass
    shop.clock.now = start + 10 * HOUR_S
    while shop.deliver():
        pass
    shop.prove(receiver)
    assert shop.service.queue.depth() == 0
    shop.service.retention.sweep()
    shop.prove(receiver)


@pytest.mark.parametrize("chance", [0], indirect=True)
def test_anything_at_any_time(shop: Shop, receiver: Receiver, chance: random.Random) -> None:
    walk(shop, receiver, chance, 60)


@pytest.mark.long
@pytest.mark.parametrize("chance", range(1, 21), indirect=True)
def test_anything_at_any_time_at_length(shop: Shop, receiver: Receiver, chance: random.Random) -> None:
    walk(shop, receiver, chance, 400)
