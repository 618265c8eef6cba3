"""The store: files by the SHA-256 of their bytes, each there once."""

from __future__ import annotations

import errno
import hashlib
import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stemwright.errors import storage_error
from stemwright.settings import Settings
from stemwright.storage.blob import PIECE_BYTES, Backend, BlobMissing, StoredBlob, blob_missing
from stemwright.storage.blob_writer import BlobWriter
from stemwright.storage.folder import FolderBackend

__all__ = ["BlobMissing", "RecordBlob", "Store", "StoredBlob"]

INCOMING_FOLDER = ".incoming"

RecordBlob = Callable[[StoredBlob], None]
"""Is told of every file before it gets its final name, so that none is ever unknown to whoever cleans up."""


class Store:
    """Files in a local folder or in an object store. Safe in threads and processes.

    A file that has its final name is whole, whatever was killed when. One in the making lies in a local folder of its
    own, where ``sweep`` finds it.
    """

    def __init__(self, backend: Backend, incoming: Path, record: RecordBlob | None = None) -> None:
        self._backend = backend
        self._incoming = incoming
        self._record = record

    @classmethod
    def open(cls, settings: Settings, record: RecordBlob | None = None) -> Store:
        """The store of a server: its data folder, or what ``storage_url`` names.

        Args:
            settings: say where it is.
            record: called for every new file; without it, files are never cleaned up, as in a backup.

        Raises:
            StorageError: the folder cannot be made.
            UsageError: ``storage_url`` names no store.
        """
        files = settings.data / "files"
        incoming = files / INCOMING_FOLDER
        try:
            incoming.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(error, incoming) from error
        if settings.storage_url is None:
            return cls(FolderBackend(files), incoming, record)
        from stemwright.storage.bucket import BucketBackend

        return cls(BucketBackend.from_url(settings.storage_url, skip_existing=settings.share_results), incoming, record)

    def writer(self) -> BlobWriter:
        """Takes a new file piece by piece: ``with store.writer() as w: w.write(…); blob = w.commit()``."""
        return BlobWriter(self._incoming / uuid.uuid4().hex, self._commit_file)

    def put_file(self, path: Path) -> StoredBlob:
        """Moves a whole local file in; when this returns it is gone from ``path``.

        Raises:
            StorageError: it cannot be stored; then it is still at ``path``.
        """
        try:
            path = path.resolve(strict=True)
            blob = _hash_file(path)
            try:
                self._commit_file(path, blob)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                blob = self._copy(path)  # it lies on another file system
                path.unlink()
            return blob
        except OSError as error:
            raise storage_error(error, path) from error

    def renew(self, digest: str) -> bool:
        """Call this before a new row refers to an old file: retention then leaves it alone as if it were new.

        Returns:
            Whether the file is there.
        """
        size_bytes = self._backend.size(digest)
        if size_bytes is None:
            return False
        if self._record is not None:
            self._record(StoredBlob(digest, size_bytes))
        return self.exists(digest)  # it may have gone just before it was recorded

    def local_path(self, digest: str) -> Path | None:
        """Where the file lies on this machine; None where it is elsewhere or nowhere."""
        return self._backend.local_path(digest)

    @contextmanager
    def as_file(self, digest: str) -> Iterator[Path]:
        """The file on this machine while the context lasts; nobody may write to it.

        Raises:
            BlobMissing: there is no such file.
            StorageError: it could not be brought here.
        """
        path = self._backend.local_path(digest)
        if path is not None:
            yield path
            return
        if self._backend.size(digest) is None:
            raise blob_missing(digest)
        copy = self._incoming / uuid.uuid4().hex
        try:
            try:
                with copy.open("xb") as file:
                    for piece in self._backend.read(digest, 0, None):
                        file.write(piece)
            except OSError as error:
                raise storage_error(error, copy) from error
            yield copy
        finally:
            copy.unlink(missing_ok=True)

    def read(self, digest: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from ``start`` to before ``end``, in pieces; raises BlobMissing at the first one."""
        return self._backend.read(digest, start, end)

    def exists(self, digest: str) -> bool:
        """Whether the file is there."""
        return self._backend.size(digest) is not None

    def size(self, digest: str) -> int:
        """Its bytes; raises BlobMissing."""
        size_bytes = self._backend.size(digest)
        if size_bytes is None:
            raise blob_missing(digest)
        return size_bytes

    def delete(self, digest: str) -> None:
        """Removes the file, if it is there."""
        self._backend.delete(digest)

    def digests(self) -> Iterator[str]:
        """All files of the store."""
        return self._backend.digests()

    def url(self, digest: str, seconds: float) -> str | None:
        """A link straight to an object store that works for so long; None for a local folder."""
        return self._backend.url(digest, seconds)

    def sweep(self, older_than_s: float) -> int:
        """Removes files in the making that nobody has written to for so long; gives how many there were."""
        removed = 0
        for path in self._incoming.iterdir():
            try:
                if time.time() - path.stat().st_mtime >= older_than_s:
                    path.unlink()
                    removed += 1
            except FileNotFoundError:
                continue  # its writer has just finished
        return removed

    def _commit_file(self, path: Path, blob: StoredBlob) -> None:
        # Recorded first: a kill in between then leaves a record without a file, which retention cleans up.
        if self._record is not None:
            self._record(blob)
        self._backend.place(path, blob.digest)
        if self._record is not None and self._backend.local_path(blob.digest) is None:
            self._record(blob)  # an upload can take longer than the grace period

    def _copy(self, path: Path) -> StoredBlob:
        with self.writer() as writer, path.open("rb", buffering=0) as file:
            while piece := file.read(PIECE_BYTES):
                writer.write(piece)
            return writer.commit()


def _hash_file(path: Path) -> StoredBlob:
    with path.open("rb", buffering=0) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size_bytes = file.tell()
        os.fsync(file.fileno())
    return StoredBlob(digest, size_bytes)
