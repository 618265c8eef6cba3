"""The store: files by SHA-256, each stored once."""

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
from stemwright.storage.blob import PIECE_BYTES, Backend, BlobMissing, FileLink, StoredBlob, Upload, blob_missing
from stemwright.storage.blob_writer import BlobWriter, FileWriter, UploadWriter
from stemwright.storage.folder import FolderBackend

__all__ = ["BlobMissing", "RecordBlob", "Store", "StoredBlob"]

INCOMING_FOLDER = ".incoming"

RecordBlob = Callable[[StoredBlob], None]
"""Called before a file gets its final name, so that retention has a record of every file."""


class Store:
    """Files in a local folder or an object store. Thread-safe and process-safe.

    A file with its final name is complete, even after a kill. Temporary files are in a local folder of their own, which
    ``sweep`` cleans up.
    """

    def __init__(self, backend: Backend, incoming: Path, record: RecordBlob | None = None) -> None:
        self._backend = backend
        self._incoming = incoming
        self._record = record

    @classmethod
    def open(cls, settings: Settings, record: RecordBlob | None = None) -> Store:
        """Opens the store of a server: in its data folder, or at ``storage_url``.

        Args:
            settings: name the location.
            record: called for every new file; without it, files are never cleaned up, as in a backup.

        Raises:
            StorageError: the folder cannot be created.
            UsageError: ``storage_url`` is invalid.
        """
        files = settings.data / "files"
        incoming = files / INCOMING_FOLDER
        try:
            incoming.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(error, incoming) from error
        return cls(backend_of(settings), incoming, record)

    def __str__(self) -> str:
        """Where the files are, in words for the operator."""
        return str(self._backend)

    def check(self) -> None:
        """Writes, reads, lists and deletes a small file, and gives up after some seconds.

        Raises:
            StorageError: says what is wrong, and what to do.
        """
        self._backend.check()

    @property
    def is_remote(self) -> bool:
        """Whether the files are in an object store, which other servers may use too."""
        return not isinstance(self._backend, FolderBackend)

    @property
    def incoming(self) -> Path:
        """The folder of temporary files, on this machine."""
        return self._incoming

    def writer(self) -> BlobWriter:
        """Returns a writer for a new file: ``with store.writer() as w: w.write(…); blob = w.commit()``."""
        upload = self._backend.upload()
        return self.file_writer() if upload is None else UploadWriter(upload, self._commit_upload)

    def file_writer(self) -> FileWriter:
        """Returns a writer whose bytes can be read at ``path`` on this machine before they are stored."""
        return FileWriter(self._incoming / uuid.uuid4().hex, self._commit_file)

    def put_file(self, path: Path) -> StoredBlob:
        """Moves a complete local file into the store; it is gone from ``path`` when this returns.

        Raises:
            StorageError: the file cannot be stored; it is still at ``path``.
        """
        try:
            path = path.resolve(strict=True)
            blob = _hash_file(path)
            try:
                self._commit_file(path, blob)
            except OSError as error:
                if error.errno != errno.EXDEV:
                    raise
                blob = self._copy(path)  # on another file system
                path.unlink()
            return blob
        except OSError as error:
            raise storage_error(error, path) from error

    def renew(self, digest: str) -> bool:
        """Restarts the grace period of a file. Call it before a new row refers to an existing file.

        Returns:
            Whether the file exists.
        """
        size_bytes = self._backend.size(digest)
        if size_bytes is None:
            return False
        if self._record is not None:
            self._record(StoredBlob(digest, size_bytes))
        return self.exists(digest)  # it may have been deleted just before it was recorded

    def local_path(self, digest: str) -> Path | None:
        """Returns the path on this machine; None if the file is remote or missing."""
        return self._backend.local_path(digest)

    @contextmanager
    def as_file(self, digest: str) -> Iterator[Path]:
        """Yields a path of the file on this machine, valid in the context. Do not write to it.

        Raises:
            BlobMissing: no such file.
            StorageError: the download failed.
        """
        path = self._backend.local_path(digest)
        if path is not None:
            yield path
            return
        copy = self._incoming / uuid.uuid4().hex
        try:
            self._download(digest, copy)
            yield copy
        finally:
            copy.unlink(missing_ok=True)

    def read(self, digest: str, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """Yields the bytes from ``start`` up to ``end`` (exclusive), in chunks; raises BlobMissing at the first."""
        return self._backend.read(digest, start, end)

    def exists(self, digest: str) -> bool:
        """Whether the file exists."""
        return self._backend.size(digest) is not None

    def size(self, digest: str) -> int:
        """Returns the size in bytes; raises BlobMissing."""
        size_bytes = self._backend.size(digest)
        if size_bytes is None:
            raise blob_missing(digest)
        return size_bytes

    def delete(self, digest: str) -> None:
        """Deletes the file if it exists."""
        self._backend.delete(digest)

    def digests(self) -> Iterator[str]:
        """Yields the digests of all files in the store."""
        return self._backend.digests()

    def url(self, digest: str, link: FileLink) -> str | None:
        """Returns a direct link to an object store; None where this server sends the files itself."""
        return self._backend.url(digest, link)

    def sweep_uploads(self, older_than_s: float) -> int:
        """Deletes what interrupted uploads left in an object store; returns its number.

        Raises:
            StorageError: the store does not answer.
        """
        return self._backend.sweep(older_than_s)

    def sweep(self, older_than_s: float) -> int:
        """Deletes temporary files not written to for ``older_than_s`` seconds; returns their number."""
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
        # Record first: a kill in between leaves a record without a file, which retention cleans up.
        if self._record is not None:
            self._record(blob)
        self._backend.place(path, blob.digest)
        if self._record is not None and self._backend.local_path(blob.digest) is None:
            self._record(blob)  # again, as an upload can take longer than the grace period

    def _commit_upload(self, upload: Upload, blob: StoredBlob) -> None:
        if self._record is not None:
            self._record(blob)
        upload.finish(blob.digest)
        if self._record is not None:
            self._record(blob)

    def _download(self, digest: str, path: Path) -> None:
        try:
            with path.open("xb") as file:
                for piece in self._backend.read(digest, 0, None):
                    file.write(piece)
        except OSError as error:
            raise storage_error(error, path) from error

    def _copy(self, path: Path) -> StoredBlob:
        with self.file_writer() as writer, path.open("rb", buffering=0) as file:
            while piece := file.read(PIECE_BYTES):
                writer.write(piece)
            return writer.commit()


def backend_of(settings: Settings) -> Backend:
    """Where a server's files are. Connects to nothing and creates nothing.

    Raises:
        UsageError: ``storage_url`` or its keys are invalid.
    """
    if settings.storage_url is None:
        return FolderBackend(settings.data / "files")
    from stemwright.storage.bucket import BucketBackend

    return BucketBackend.from_url(
        settings.storage_url,
        public_url=settings.storage_public_url,
        redirects=settings.storage_links == "redirect",
        skip_existing=settings.share_results,
    )


def _hash_file(path: Path) -> StoredBlob:
    with path.open("rb", buffering=0) as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        size_bytes = file.tell()
        os.fsync(file.fileno())
    return StoredBlob(digest, size_bytes)
