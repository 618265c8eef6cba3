"""Derived files: computed once, kept as long as their source, and a week after their last use."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from stemwright.database import tables
from stemwright.errors import StorageError
from stemwright.service.blobs import GRACE_PERIOD_S
from stemwright.service.derived_files import KEEP_UNUSED_S, DerivedFiles
from stemwright.service.errors import PreviewUnavailable
from stemwright.service.retention import Retention
from stemwright.storage.blob import BlobMissing
from stemwright.storage.store import Store
from tests.service.conftest import Domain
from tests.service.test_retention import add_track, count, put, retention, store
from tests.waiting import wait_until

__all__ = ["retention", "store"]


@pytest.fixture
def files(domain: Domain, store: Store) -> DerivedFiles:
    return DerivedFiles(domain.database, store, domain.clock)


def content(store: Store, digest: str) -> bytes:
    return b"".join(store.read(digest))


def write(path: Path) -> None:
    path.write_bytes(b"tiles")


def test_it_is_computed_once_for_each_kind(files: DerivedFiles, store: Store) -> None:
    song = put(store, b"song")
    calls: list[str] = []
    for kind in ("tiles", "tiles", "half speed", "tiles"):

        def compute(path: Path, kind: str = kind) -> None:
            calls.append(kind)
            path.write_text(f"{kind} of the song")

        blob = files.get(song.digest, kind, compute)
        assert content(store, blob.digest).decode() == f"{kind} of the song"
    assert calls == ["tiles", "half speed"]


def test_others_wait_for_the_first(files: DerivedFiles, store: Store) -> None:
    song = put(store, b"song")
    go_on = threading.Event()
    found: list[str] = []

    def compute(path: Path) -> None:
        assert go_on.wait(60)
        path.write_bytes(b"tiles")
        found.append("computed")

    def ask() -> None:
        found.append(files.get(song.digest, "tiles", compute).digest)

    threads = [threading.Thread(target=ask) for _ in range(3)]
    for thread in threads:
        thread.start()
    wait_until(lambda: files._locks.users((song.digest, "tiles")) == 3)
    go_on.set()
    for thread in threads:
        thread.join()
    assert found[0] == "computed" and len(set(found)) == 2


def test_what_fails_leaves_nothing(files: DerivedFiles, store: Store, domain: Domain) -> None:
    song = put(store, b"song")

    def fail(path: Path) -> None:
        path.write_bytes(b"half of it")
        raise PreviewUnavailable("This file cannot be read.")

    with pytest.raises(PreviewUnavailable):
        files.get(song.digest, "tiles", fail)
    with pytest.raises(BlobMissing):
        files.get("ab" * 32, "tiles", fail)
    with pytest.raises(StorageError):
        files.get(song.digest, "tiles", lambda path: None)
    assert count(domain, tables.DerivedFile) == 0 and list(store.incoming.iterdir()) == []


def test_it_goes_with_its_source(files: DerivedFiles, domain: Domain, store: Store, retention: Retention) -> None:
    song = put(store, b"song")
    account_id = domain.keys.authenticate(domain.keys.create("alice").key).account_id
    track = add_track(domain, song, account_id)
    tiles = files.get(song.digest, "tiles", write)
    domain.clock.now += 2 * GRACE_PERIOD_S
    assert retention.sweep().blobs == 0
    domain.tracks.delete(account_id, track.id)
    for digest in (song.digest, tiles.digest):
        domain.clock.now += 2 * GRACE_PERIOD_S
        assert retention.sweep().blobs == 1 and not store.exists(digest)
    assert count(domain, tables.DerivedFile) == 0


def test_it_goes_a_week_after_its_last_use(
    files: DerivedFiles, domain: Domain, store: Store, retention: Retention
) -> None:
    song = put(store, b"song")
    add_track(domain, song, domain.keys.authenticate(domain.keys.create("alice").key).account_id)
    calls: list[Path] = []

    def compute(path: Path) -> None:
        calls.append(path)
        write(path)

    tiles = files.get(song.digest, "tiles", compute)
    for _ in range(2):
        domain.clock.now += 0.4 * KEEP_UNUSED_S
        retention.sweep()
        assert files.get(song.digest, "tiles", compute) == tiles and len(calls) == 1
    domain.clock.now += KEEP_UNUSED_S
    assert retention.sweep().derived_files == 1
    domain.clock.now += 2 * GRACE_PERIOD_S
    assert retention.sweep().blobs == 1 and store.exists(song.digest)
    assert files.get(song.digest, "tiles", compute) == tiles and len(calls) == 2
