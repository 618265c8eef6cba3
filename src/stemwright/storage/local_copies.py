"""Copies on this machine of files that are used again and again, where the store is an object store."""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stemwright.errors import storage_error
from stemwright.storage.blob import is_digest
from stemwright.storage.keyed_locks import KeyedLocks
from stemwright.storage.store import Store


class LocalCopies:
    """The files of a store as files on this machine. Those of a local folder are given as they are.

    Others are downloaded when they are first asked for, and kept up to a number of bytes; the least recently used ones
    are deleted first, but none that is in use. Their paths stay the same. They are temporary files of the store, so its
    ``sweep`` deletes those that nobody has used for long. Thread-safe.
    """

    def __init__(self, store: Store, max_bytes: int) -> None:
        self._store = store
        self._folder = store.incoming
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._users: Counter[str] = Counter()
        self._downloads = KeyedLocks()

    @contextmanager
    def file(self, digest: str) -> Iterator[Path]:
        """Yields a path of the file on this machine, valid in the context. Do not write to it.

        Raises:
            BlobMissing: no such file.
            StorageError: the download failed.
        """
        path = self._store.local_path(digest)
        if path is not None:
            yield path
            return
        with self._lock:
            self._users[digest] += 1
        try:
            with self._downloads.hold(digest):
                path = self._present(digest) or self._download(digest)
            yield path
        finally:
            with self._lock:
                self._users[digest] -= 1
                if not self._users[digest]:
                    del self._users[digest]

    def exists(self, digest: str) -> bool:
        """Whether the store has the file."""
        return self._store.exists(digest)

    def _present(self, digest: str) -> Path | None:
        path = self._folder / digest
        try:
            os.utime(path)  # the time of its last use
        except FileNotFoundError:
            return None
        return path

    def _download(self, digest: str) -> Path:
        self._make_room(self._store.size(digest))
        path = self._folder / digest
        with self._store.as_file(digest) as copy:
            try:
                copy.replace(path)
            except OSError as error:
                raise storage_error(error, path) from error
        return path

    def _make_room(self, size_bytes: int) -> None:
        """Deletes copies until another one of that size fits."""
        with self._lock:
            copies = []
            for path in filter(lambda path: is_digest(path.name), self._folder.iterdir()):
                with suppress(FileNotFoundError):  # another process has just deleted it
                    copies.append((path.stat().st_mtime, path.stat().st_size, path))
            total = sum(size for _, size, _ in copies) + size_bytes
            for _, size, path in sorted(copies):
                if total <= self._max_bytes:
                    return
                if not self._users[path.name]:
                    path.unlink(missing_ok=True)
                    total -= size
