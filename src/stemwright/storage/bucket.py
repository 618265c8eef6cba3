"""Storage backend for object stores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, ObjectStore, S3Store

from stemwright.errors import StorageError, UsageError
from stemwright.storage.blob import PIECE_BYTES, blob_missing, is_digest, object_key

MAX_CONCURRENT_PARTS = 4
"""Parallel parts of 5 MiB each: memory used to upload a large file."""


class BucketBackend:
    """Files under a prefix of an S3-compatible store, or of another store supported by obstore."""

    def __init__(self, store: ObjectStore, *, skip_existing: bool) -> None:
        self._store = store
        self._skip_existing = skip_existing

    @classmethod
    def from_url(cls, url: str, *, skip_existing: bool = False) -> BucketBackend:
        """Opens the bucket at a URL, ``s3://bucket/prefix``; region, endpoint and keys come from ``AWS_*``.

        Args:
            url: URL of the bucket.
            skip_existing: do not upload a file that exists. The upload time then reveals whether any account has the
                same file.

        Raises:
            UsageError: unsupported kind of store.
        """
        try:
            return cls(obstore.store.from_url(url), skip_existing=skip_existing)
        except (BaseError, ValueError) as error:
            raise UsageError(f"STEMWRIGHT_STORAGE_URL cannot be used ({_reason(error)}); write s3://bucket.") from error

    def place(self, path: Path, digest: str) -> None:
        """Uploads a file and deletes the local one."""
        if not (self._skip_existing and self.size(digest) == path.stat().st_size):
            with _storage_errors():
                obstore.put(self._store, object_key(digest), path, max_concurrency=MAX_CONCURRENT_PARTS)
        path.unlink()

    def local_path(self, digest: str) -> Path | None:
        """Returns None: files are remote."""
        return None

    def read(self, digest: str, start: int, end: int | None) -> Iterator[bytes]:
        """Yields the bytes from ``start`` up to ``end`` (exclusive)."""
        if end is not None and end <= start:
            return
        try:
            with _storage_errors():
                found = obstore.get(
                    self._store,
                    object_key(digest),
                    options={"range": {"offset": start} if end is None else (start, end)},
                )
                for piece in found.stream(min_chunk_size=PIECE_BYTES):
                    yield bytes(piece)
        except FileNotFoundError as error:
            raise blob_missing(digest) from error

    def size(self, digest: str) -> int | None:
        """Returns the size in bytes; None if missing."""
        try:
            with _storage_errors():
                return obstore.head(self._store, object_key(digest))["size"]
        except FileNotFoundError:
            return None

    def delete(self, digest: str) -> None:
        """Deletes the file if it exists."""
        with _storage_errors():
            try:
                obstore.delete(self._store, object_key(digest))
            except FileNotFoundError:
                return

    def digests(self) -> Iterator[str]:
        """Yields the digests of all files; skips names that are not digests."""
        with _storage_errors():
            for found in obstore.list(self._store):
                for meta in found:
                    name = meta["path"].replace("/", "")
                    if is_digest(name):
                        yield name

    def url(self, digest: str, seconds: float) -> str | None:
        """Returns a presigned GET URL."""
        if not isinstance(self._store, S3Store | GCSStore | AzureStore):
            return None
        with _storage_errors():
            return obstore.sign(self._store, "GET", object_key(digest), timedelta(seconds=seconds))


@contextmanager
def _storage_errors() -> Iterator[None]:
    try:
        yield
    except BaseError as error:
        raise StorageError(
            f"The object store failed ({_reason(error)}): check that it can be reached and that its keys are right."
        ) from error


def _reason(error: Exception) -> str:
    return str(error).partition("\n")[0]
