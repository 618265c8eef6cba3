"""Copies of an object store's files: downloaded once, within a number of bytes, never deleted in use."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from stemwright.errors import StorageError
from stemwright.settings import read_settings
from stemwright.storage.blob import BlobMissing
from stemwright.storage.bucket import BucketBackend
from stemwright.storage.local_copies import LocalCopies
from stemwright.storage.store import Store
from tests.storage.test_bucket import store
from tests.waiting import wait_until

__all__ = ["store"]


@pytest.fixture
def copies(store: Store) -> LocalCopies:
    """They hold two files of 400 bytes."""
    return LocalCopies(store, 1000)


@pytest.fixture
def add(store: Store) -> Callable[[bytes], str]:
    def add(letter: bytes) -> str:
        with store.writer() as writer:
            writer.write(400 * letter)
            return writer.commit().digest

    return add


@pytest.fixture
def downloads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The digests that the store was asked for."""
    return watch_downloads(monkeypatch)


def watch_downloads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A list that gets the digest of each file that is read from a bucket from now on."""
    asked: list[str] = []
    real = BucketBackend.read

    def read(self: BucketBackend, digest: str, start: int, end: int | None) -> Iterator[bytes]:
        asked.append(digest)
        return real(self, digest, start, end)

    monkeypatch.setattr(BucketBackend, "read", read)
    return asked


def use(copies: LocalCopies, digest: str, second: int) -> None:
    """Uses a file at a time, since the clock of a file system may stand still."""
    with copies.file(digest) as path:
        os.utime(path, (second, second))


def test_a_file_is_downloaded_once_and_keeps_its_path(
    copies: LocalCopies, add: Callable[[bytes], str], downloads: list[str]
) -> None:
    digest = add(b"a")
    with copies.file(digest) as first, copies.file(digest) as second:
        assert first == second and first.read_bytes() == 400 * b"a"
    with copies.file(digest) as third:
        assert third == first
    assert downloads == [digest]


def test_many_who_ask_at_once_wait_for_one_download(
    copies: LocalCopies, add: Callable[[bytes], str], downloads: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = add(b"a")
    go_on = threading.Event()
    real = Store.as_file
    monkeypatch.setattr(Store, "as_file", lambda self, name: (go_on.wait(), real(self, name))[1])
    found: list[bytes] = []

    def ask() -> None:
        with copies.file(digest) as path:
            found.append(path.read_bytes())

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    wait_until(lambda: copies._downloads.users(digest) == 4)
    go_on.set()
    for thread in threads:
        thread.join()
    assert found == 4 * [400 * b"a"] and downloads == [digest]
    assert not copies._users and not copies._downloads._locks


def test_the_least_recently_used_goes_first_but_none_in_use(
    copies: LocalCopies, store: Store, add: Callable[[bytes], str]
) -> None:
    a, b, c, d = (add(letter) for letter in (b"a", b"b", b"c", b"d"))
    use(copies, a, 10)
    use(copies, b, 20)
    use(copies, a, 30)
    use(copies, c, 40)
    assert {path.name for path in store.incoming.iterdir()} == {a, c}
    with ExitStack() as stack:
        paths = [stack.enter_context(copies.file(digest)) for digest in (a, b, c, d)]
        assert [path.read_bytes()[:1] for path in paths] == [b"a", b"b", b"c", b"d"]
    use(copies, add(b"e"), 50)
    assert sum(path.stat().st_size for path in store.incoming.iterdir()) <= 1000


def test_what_nobody_uses_is_swept(copies: LocalCopies, store: Store, add: Callable[[bytes], str]) -> None:
    use(copies, add(b"a"), 10)
    assert store.sweep(older_than_s=3600) == 1
    assert list(store.incoming.iterdir()) == []


def test_a_file_of_a_folder_is_given_as_it_is(tmp_path: Path) -> None:
    store = Store.open(read_settings(data=tmp_path))
    with store.writer() as writer:
        writer.write(b"song")
        blob = writer.commit()
    with LocalCopies(store, 0).file(blob.digest) as path:
        assert path == store.local_path(blob.digest)
    assert path.exists()


def test_a_file_that_is_not_there_and_a_store_that_fails(
    copies: LocalCopies, add: Callable[[bytes], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(BlobMissing), copies.file("ab" * 32):
        pass
    digest = add(b"a")

    def refuse(*_: object) -> None:
        raise StorageError("the store failed")

    monkeypatch.setattr(BucketBackend, "read", refuse)
    with pytest.raises(StorageError), copies.file(digest):
        pass
    assert not copies._users and not copies._downloads._locks
