"""Many at the same moment, each on a connection of its own: at READ COMMITTED the guards are in SQL, or nowhere."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

import pytest
from sqlalchemy import func, select, text

from stemwright.database import tables
from stemwright.service import server_state
from stemwright.service.blobs import GRACE_PERIOD_S, BlobRecords
from stemwright.service.callbacks import Bodies, Callbacks
from stemwright.service.errors import (
    Conflict,
    InsufficientCredits,
    NotFound,
    QuotaExceeded,
    RateLimited,
    ServiceError,
    TooManyRunning,
)
from stemwright.service.ids import new_id
from stemwright.service.retention import Retention
from stemwright.service.shared_rate_limits import SharedRateLimiter
from stemwright.service.task import Task
from stemwright.service.tracks import StoredSong, VendorTrack
from stemwright.service.uploads import Uploads
from stemwright.service.url_fetcher import Fetcher
from stemwright.storage.blob import StoredBlob
from stemwright.storage.store import Store
from tests.service.conftest import ORDER, Domain, OpenDomain, postgresql_only
from tests.stand_in import StandIn
from tests.waiting import wait_until

pytestmark = postgresql_only

Result = TypeVar("Result")


def at_once(acts: Sequence[Callable[[], Result]]) -> list[Result | Exception]:
    """Runs functions in threads that start together; errors are results too."""
    start = threading.Barrier(len(acts))

    def run(act: Callable[[], Result]) -> Result | Exception:
        start.wait()
        try:
            return act()
        except Exception as error:
            return error

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def kinds(results: Sequence[object]) -> Counter[str]:
    return Counter(type(result).__name__ for result in results)


def test_fifty_threads_spend_the_last_credits_of_one_account(open_domain: OpenDomain) -> None:
    domain = open_domain(rate_limit="0")
    caller = domain.caller(credits=100.0)
    results = at_once([lambda: domain.submit(caller) for _ in range(50)])
    assert kinds(results) == {"Task": 10, InsufficientCredits.__name__: 40}
    assert domain.ledger.balance(caller.account_id) == 0
    assert domain.ledger.imbalance() == {}
    assert domain.queue.depth() == 10


def test_grants_and_charges_at_once_lose_nothing(domain: Domain) -> None:
    caller = domain.caller(credits=1000.0)
    at_once([*[lambda: domain.submit(caller)] * 20, *[lambda: domain.ledger.grant("alice", 1000)] * 20])
    assert domain.ledger.balance(caller.account_id) == 100_000 - 20 * 1000 + 20 * 1000
    assert domain.ledger.imbalance() == {}


def test_a_task_ends_once(domain: Domain) -> None:
    """Its worker succeeds and fails it, its client cancels it, and another server gives it up."""
    caller = domain.caller(credits=1000.0)
    for _ in range(5):
        task = domain.submit(caller)
        lease = domain.hold()
        acts: list[Callable[[], object]] = [
            lambda lease=lease: domain.succeed(lease),  # type: ignore[misc]
            lambda lease=lease: domain.work.fail(lease.task_id, lease.token, 500, "no"),  # type: ignore[misc]
            lambda lease=lease: domain.work.cancelled(lease.task_id, lease.token),  # type: ignore[misc]
            lambda lease=lease: domain.work.fail(lease.task_id, None, 500, "given up"),  # type: ignore[misc]
        ]
        assert Counter(map(str, at_once(acts * 3))) == {"True": 1, "False": 11}
        assert domain.deliveries(task.id) == 1
        refunds = [entry for entry in domain.ledger.entries(caller.account_id) if entry.task_id == task.id]
        ended = domain.tasks.any(task.id)
        assert ended is not None and len(refunds) == (1 if ended.state == "succeeded" else 2)
        assert len(ended.stems) == (2 if ended.state == "succeeded" else 0)
    assert domain.ledger.imbalance() == {}


def test_a_cancelled_task_is_not_begun(domain: Domain) -> None:
    caller = domain.caller()
    for _ in range(10):
        task = domain.submit(caller)
        lease = domain.queue.claim("w", 60.0)
        assert lease is not None
        begin = lambda lease=lease: domain.work.begin(lease.task_id, lease.token)  # noqa: E731
        cancel = lambda task=task: domain.tasks.cancel(caller.account_id, task.id)  # noqa: E731
        begun, cancelled = at_once([begin, cancel])
        assert isinstance(cancelled, Task) and (begun is None or isinstance(begun, Task))
        now = domain.tasks.any(task.id)
        assert now is not None and now.cancel_requested and now.state in ("pending", "running")
        assert not domain.work.progress(task.id, lease.token, "separating", 0.5)
        assert domain.work.cancelled(task.id, lease.token)


def test_of_two_workers_one_has_the_task(domain: Domain) -> None:
    caller = domain.caller()
    for _ in range(20):
        domain.submit(caller)
    leases = at_once([lambda n=n: domain.queue.claim(f"w/{n}", 60.0) for n in range(30)])  # type: ignore[misc]
    taken = [lease.task_id for lease in leases if lease is not None and not isinstance(lease, Exception)]
    assert len(taken) == len(set(taken)) == 20


def test_a_worker_that_lost_its_lease_ends_nothing(domain: Domain) -> None:
    """The new lease is being written while the former worker ends its task."""
    domain.submit(domain.caller())
    former = domain.hold("former")
    with domain.database.write() as session:
        session.execute(text("""UPDATE procrastinate_jobs SET args = args || '{"token": "of another"}'"""))
        with ThreadPoolExecutor(1) as pool:
            late = pool.submit(domain.succeed, former)
            wait_until(lambda: blocked(domain) == 1, "the former worker waits for the row")
            session.commit()
            assert late.result() is False


def blocked(domain: Domain) -> int:
    """How many connections to the database wait for a lock."""
    with domain.database.engine.connect() as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
        return int(connection.exec_driver_sql(query).scalar_one())


def test_one_idempotency_key_makes_one_task(domain: Domain) -> None:
    caller = domain.caller(credits=1000.0)
    order = replace(ORDER, idempotency_key="once", body_digest="ab" * 32)
    results = at_once([lambda: domain.tasks.submit(caller, order) for _ in range(20)])
    assert kinds(results) == {"Task": 20}
    assert len({result.id for result in results if isinstance(result, Task)}) == 1
    assert domain.ledger.balance(caller.account_id) == 99_000
    assert domain.queue.depth() == 1
    other = at_once([lambda: domain.tasks.submit(caller, replace(order, body_digest="cd" * 32)) for _ in range(5)])
    assert kinds(other) == {"Conflict": 5}


def test_a_key_whose_task_is_gone_makes_one_more(domain: Domain) -> None:
    caller = domain.caller()
    order = replace(ORDER, idempotency_key="once", body_digest="ab" * 32)
    first = domain.tasks.submit(caller, order)
    assert domain.work.fail(first.id, None, 500, "no")
    with domain.database.write() as session:
        session.delete(session.get_one(tables.Task, first.id))
    results = at_once([lambda: domain.tasks.submit(caller, order) for _ in range(10)])
    assert len({result.id for result in results if isinstance(result, Task)}) == 1
    assert domain.queue.depth() == 1


def test_the_limit_of_unfinished_tasks_holds(open_domain: OpenDomain) -> None:
    domain = open_domain(max_running=3)
    caller = domain.caller()
    results = at_once([lambda: domain.submit(caller) for _ in range(20)])
    assert kinds(results) == {"Task": 3, TooManyRunning.__name__: 17}


def test_an_audio_has_one_wav(domain: Domain) -> None:
    caller = domain.caller()
    results = at_once([lambda: domain.submit(caller, kind="wav", audio_id="aa" * 16) for _ in range(10)])
    assert kinds(results) == {"Task": 1, Conflict.__name__: 9}


def test_the_quota_holds(open_domain: OpenDomain) -> None:
    domain = open_domain(quota_mb=5)
    account = domain.caller().account_id
    songs = [StoredSong(StoredBlob(f"{n:064x}", 1_000_000), "song", None, None) for n in range(20)]

    def add(song: StoredSong) -> object:
        return domain.tracks.add_stored(account, song.blob, title=song.title)

    results = at_once([lambda song=song: add(song) for song in songs])  # type: ignore[misc]
    assert kinds(results) == {"Track": 5, QuotaExceeded.__name__: 15}


def test_the_rate_is_one_for_all_servers(domain: Domain) -> None:
    servers = [SharedRateLimiter(domain.database) for _ in range(3)]
    caller, other = domain.caller(), domain.caller("bob")
    acts = [lambda n=n: servers[n % 3].acquire(caller, "kie", "20/600") for n in range(50)]
    results = at_once(acts)
    assert kinds(results) == {"NoneType": 20, RateLimited.__name__: 30}
    late = next(result for result in results if isinstance(result, RateLimited))
    assert 1.0 <= late.retry_after_s <= 600.0
    servers[0].acquire(other, "kie", "20/600")
    servers[0].acquire(caller, "crun", "20/600")
    with domain.database.write() as session:  # ten minutes pass
        session.execute(tables.RateEvent.__table__.update().values(at=tables.RateEvent.at - 600.0))  # type: ignore[attr-defined]
    servers[1].acquire(caller, "kie", "20/600")
    with domain.database.read() as session:
        count = session.scalar(select(func.count()).where(tables.RateEvent.scope.startswith("kie ")))
    assert count == 2, "what has left the window of an account is deleted when it comes again"


def test_one_of_several_servers_sends_a_callback(domain: Domain) -> None:
    bodies: Bodies = {"kie": lambda task: {"task": task.id}}
    with StandIn() as world:
        caller = domain.caller()
        for _ in range(6):
            task = domain.submit(caller, callback_url=f"{world.url}/hook")
            assert domain.work.fail(task.id, None, 500, "no")
        servers = [
            Callbacks(domain.database, domain.settings, Fetcher(domain.settings), domain.tasks, domain.clock)
            for _ in range(4)
        ]
        sent = at_once([lambda server=server: server.run_due(bodies) for server in servers])  # type: ignore[misc]
        assert sum(number for number in sent if isinstance(number, int)) == 6 == len(world.of("/hook"))
        for server in servers:
            server.close()


def test_a_callback_of_a_server_that_died_is_sent_by_another_when_its_claim_ends(domain: Domain) -> None:
    bodies: Bodies = {"kie": lambda task: {"task": task.id}}
    with StandIn() as world:
        task = domain.submit(domain.caller(), callback_url=f"{world.url}/hook")
        assert domain.work.fail(task.id, None, 500, "no")
        dead = Callbacks(domain.database, domain.settings, Fetcher(domain.settings), domain.tasks, domain.clock)
        assert len(dead._due_callbacks.take()) == 1
        other = Callbacks(domain.database, domain.settings, Fetcher(domain.settings), domain.tasks, domain.clock)
        assert other.run_due(bodies) == 0
        with domain.database.write() as session:  # 75 s pass: 15 for the attempt, and 60
            session.execute(tables.Delivery.__table__.update().values(claimed_until=tables.Delivery.claimed_until - 75))  # type: ignore[attr-defined]
        assert other.run_due(bodies) == 1
        for server in (dead, other):
            server.close()


def test_what_a_server_took_and_did_not_send_is_given_back(domain: Domain) -> None:
    task = domain.submit(domain.caller())
    assert domain.work.fail(task.id, None, 500, "no")
    first, second = (
        Callbacks(domain.database, domain.settings, Fetcher(domain.settings), domain.tasks, domain.clock)
        for _ in range(2)
    )
    first._in_flight.update(first._due_callbacks.take())
    first.close()
    assert len(second._due_callbacks.take()) == 1
    second.close()


def test_two_replays_make_one_attempt(domain: Domain) -> None:
    caller = domain.caller()
    task = domain.submit(caller)
    assert domain.work.fail(task.id, None, 500, "no")
    callbacks = Callbacks(domain.database, domain.settings, Fetcher(domain.settings), domain.tasks, domain.clock)
    with domain.database.write() as session:
        session.execute(tables.Delivery.__table__.update().values(state="dead"))  # type: ignore[attr-defined]
    results = at_once([lambda: callbacks.replay(caller.account_id, task.id) for _ in range(8)])
    assert kinds(results) == {"Delivery": 8}
    assert domain.deliveries(task.id) == 2
    callbacks.close()


def test_names_keys_paths_and_songs_are_taken_once(domain: Domain) -> None:
    assert kinds(at_once([lambda: domain.accounts.create("shop")] * 10)) == {"Account": 1, "Conflict": 9}
    assert kinds(at_once([lambda: domain.keys.create("web")] * 10)) == {"NewKey": 1, "Conflict": 9}
    assert len({*at_once([lambda: server_state.secret(domain.database, "links")] * 10)}) == 1
    account = domain.accounts.find("web").id
    uploads = Uploads(domain.database, domain.settings, domain.clock)
    added = at_once(
        [lambda n=n: uploads.add(account, "a/b.mp3", StoredBlob(f"{n:064x}", 1), "audio/mpeg") for n in range(10)]  # type: ignore[misc]
    )
    assert kinds(added) == {"Upload": 10} and len({getattr(upload, "id", None) for upload in added}) == 1
    songs = [VendorTrack(f"{n:032x}", "https://example.org/x.mp3", "song", n, None, {}) for n in range(2)]
    task_id = new_id()
    looked_up = at_once([lambda: domain.tracks.add_vendor(account, task_id, songs)] * 10)
    assert [len(found) for found in looked_up if isinstance(found, list)] == [2] * 10


def test_a_track_is_deleted_or_used(domain: Domain) -> None:
    account = domain.caller()
    for n in range(8):
        track = domain.tracks.add_stored(account.account_id, StoredBlob(f"{n:064x}", 1), title="song")
        submit = lambda track=track: domain.submit(account, source_url=None, track_id=track.id)  # noqa: E731
        delete = lambda track=track: domain.tracks.delete(account.account_id, track.id)  # noqa: E731
        task, deleted = at_once([submit, delete])
        there = domain.tracks.get(account.account_id, track.id) is not None
        if isinstance(task, Task):
            assert there and isinstance(deleted, Conflict)
        else:
            assert isinstance(task, NotFound) and not there and deleted is None


def test_sweeps_of_several_servers_leave_what_is_needed(domain: Domain) -> None:
    """Expired tracks and unused files go; a song that is stored anew at the same moment stays."""
    caller = domain.caller()
    store = Store.open(domain.settings, BlobRecords(domain.database, domain.clock).record)

    def put(content: bytes) -> StoredBlob:
        with store.writer() as writer:
            writer.write(content)
            return writer.commit()

    blobs = [put(str(n).encode()) for n in range(30)]
    for blob in blobs:
        domain.tracks.add_stored(caller.account_id, blob, title="song")
    sweepers = [Retention(domain.database, domain.settings, store, domain.clock, domain.clock) for _ in range(4)]
    domain.clock.now += domain.settings.retention_days * 86_400.0 + 1
    swept = at_once([lambda one=one: one.sweep() for one in sweepers])  # type: ignore[misc]
    assert kinds(swept) == {"SweepResult": 4}
    assert domain.tracks.list(caller.account_id) == []
    domain.clock.now += GRACE_PERIOD_S

    def store_again(n: int) -> StoredBlob:
        blob = put(str(n).encode())
        domain.tracks.add_stored(caller.account_id, blob, title="song")
        return blob

    acts: list[Callable[[], object]] = [lambda one=one: one.sweep() for one in sweepers]  # type: ignore[misc]
    acts += [lambda n=n: store_again(n) for n in range(0, 30, 3)]  # type: ignore[misc]
    results = at_once(acts)
    assert not [result for result in results if isinstance(result, Exception)]
    sweepers[0].sweep()
    assert set(store.digests()) == {blobs[n].digest for n in range(0, 30, 3)}


def test_a_file_that_is_stored_while_it_is_deleted_is_there(domain: Domain, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Store.open(domain.settings, BlobRecords(domain.database, domain.clock).record)
    deleting, go_on = threading.Event(), threading.Event()

    def put() -> str:
        with store.writer() as writer:
            writer.write(b"song")
            return writer.commit().digest

    def delete(digest: str) -> None:
        deleting.set()
        go_on.wait()
        real_delete(digest)

    digest, real_delete = put(), store.delete
    domain.clock.now += GRACE_PERIOD_S
    monkeypatch.setattr(store, "delete", delete)
    retention = Retention(domain.database, domain.settings, store, domain.clock, domain.clock)
    with ThreadPoolExecutor(2) as pool:
        sweep = pool.submit(retention.sweep)
        deleting.wait()
        again = pool.submit(put)
        wait_until(lambda: blocked(domain) == 1, "whoever stores the file waits for its deletion")
        go_on.set()
        assert sweep.result().blobs == 1 and again.result() == digest
    assert store.exists(digest)
    with domain.database.read() as session:
        assert session.get(tables.Blob, digest) is not None


def test_errors_are_the_services_own(domain: Domain) -> None:
    """Nothing that two do at once ends in an error of the database."""
    caller = domain.caller(credits=50.0)
    task = domain.submit(caller)
    acts: list[Callable[[], object]] = [
        lambda: domain.tasks.cancel(caller.account_id, task.id),
        lambda: domain.tasks.delete(caller.account_id, task.id),
        lambda: domain.ledger.grant("alice", -500),
        lambda: domain.submit(caller),
    ]
    for result in at_once(acts * 6):
        assert not isinstance(result, Exception) or isinstance(result, ServiceError)
    assert domain.ledger.imbalance() == {}
