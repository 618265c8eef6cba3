"""Who sweeps a store that several servers share, on both databases, and a sweep of a bucket."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator

import pytest

from stemwright.database.engine import Database
from stemwright.errors import StorageError
from stemwright.service.blobs import GRACE_PERIOD_S, BlobRecords
from stemwright.service.retention import Retention
from stemwright.service.sweep_lease import LEASE_S, SweepLease
from stemwright.storage.blob import StoreUnreachable
from stemwright.storage.store import Store, StoredBlob
from tests.service.conftest import Domain, MovableClock


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, domain: Domain) -> Iterator[Database]:
    if request.param == "sqlite":
        yield domain.database
        return
    database = Database(request.getfixturevalue("postgresql_url"))
    yield database
    database.close()


def test_one_has_it_until_it_gives_it_back_or_is_gone(database: Database) -> None:
    clock = MovableClock()
    first, second = (SweepLease(database, clock) for _ in range(2))
    assert first.take() and not second.take()
    clock.now += LEASE_S - 1
    assert first.take() and not second.take()
    clock.now += LEASE_S - 1
    assert not second.take()
    second.give_back()  # it has none, and takes none away
    assert not second.take()
    clock.now += 1
    assert second.take() and not first.take()
    second.give_back()
    assert first.take()


def test_of_many_at_once_one_gets_it(database: Database) -> None:
    together, taken = threading.Barrier(8), []

    def take() -> None:
        lease = SweepLease(database)
        together.wait()
        taken.append(lease.take())

    threads = [threading.Thread(target=take) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False] * 7 + [True]


def put(store: Store, content: bytes) -> StoredBlob:
    with store.writer() as writer:
        writer.write(content)
        return writer.commit()


def open_sweeper(domain: Domain, bucket: str, number: int) -> tuple[Store, Retention]:
    """A server's store and its retention: all on one database and bucket, each with a folder of its own."""
    settings = domain.settings.model_copy(update={"storage_url": bucket, "data": domain.settings.data / str(number)})
    store = Store.open(settings, BlobRecords(domain.database, domain.clock).record)
    return store, Retention(domain.database, settings, store, domain.clock, domain.clock)


def test_one_of_two_servers_sweeps_the_bucket_and_each_its_own_folder(domain: Domain, bucket: str) -> None:
    store, first = open_sweeper(domain, bucket, 1)
    other_store, second = open_sweeper(domain, bucket, 2)
    first.sweep()
    unused = put(store, b"unused")
    left = other_store.incoming / "left"
    left.write_bytes(b"a part")
    os.utime(left, (0, 0))
    domain.clock.now += GRACE_PERIOD_S - LEASE_S + 1
    first.sweep()
    domain.clock.now += LEASE_S - 1
    swept = second.sweep()
    assert (swept.blobs, swept.abandoned_files) == (0, 1) and not left.exists() and store.exists(unused.digest)
    first.stop()
    assert second.sweep().blobs == 1 and not store.exists(unused.digest)


def test_a_store_that_is_down_is_asked_once_in_a_sweep(
    domain: Domain, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, retention = open_sweeper(domain, bucket, 1)
    blobs = [put(store, str(number).encode()) for number in range(3)]
    retention.sweep()
    asked: list[str] = []

    def refuse(_: Store, digest: str) -> None:
        asked.append(digest)
        raise StoreUnreachable("the store is down")

    domain.clock.now += GRACE_PERIOD_S + 1
    with monkeypatch.context() as patch:
        patch.setattr(Store, "delete", refuse)
        patch.setattr(Store, "sweep_uploads", lambda *_: (_ for _ in ()).throw(StorageError("the store is down")))
        assert retention.sweep().blobs == 0 and len(asked) == 1
    assert retention.sweep().blobs == 3
    assert not any(store.exists(blob.digest) for blob in blobs)
