"""Files in an object store."""

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
"""Parts of 5 MiB each: what a large file holds in memory on its way."""


class BucketBackend:
    """Files under a prefix of an S3-compatible store, or of another that obstore knows."""

    def __init__(self, store: ObjectStore, *, skip_existing: bool) -> None:
        self._store = store
        self._skip_existing = skip_existing

    @classmethod
    def from_url(cls, url: str, *, skip_existing: bool = False) -> BucketBackend:
        """The bucket of a URL, ``s3://bucket/prefix``; its region, endpoint and keys come from ``AWS_*``.

        Args:
            url: where it is.
            skip_existing: a file that is there is not uploaded again. Then the time of an upload tells whether any account
                has the same file.

        Raises:
            UsageError: there is no such kind of store.
        """
        try:
            return cls(obstore.store.from_url(url), skip_existing=skip_existing)
        except (BaseError, ValueError) as error:
            raise UsageError(f"STEMWRIGHT_STORAGE_URL cannot be used ({_reason(error)}); write s3://bucket.") from error

    def place(self, path: Path, digest: str) -> None:
        """Uploads a file and removes the local one."""
        if not (self._skip_existing and self.size(digest) == path.stat().st_size):
            with _storage_errors():
                obstore.put(self._store, object_key(digest), path, max_concurrency=MAX_CONCURRENT_PARTS)
        path.unlink()

    def local_path(self, digest: str) -> Path | None:
        """None: it is elsewhere."""
        return None

    def read(self, digest: str, start: int, end: int | None) -> Iterator[bytes]:
        """The bytes from ``start`` to before ``end``."""
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
        """The bytes of the file; None where there is none."""
        try:
            with _storage_errors():
                return obstore.head(self._store, object_key(digest))["size"]
        except FileNotFoundError:
            return None

    def delete(self, digest: str) -> None:
        """Removes the file, if it is there."""
        with _storage_errors():
            try:
                obstore.delete(self._store, object_key(digest))
            except FileNotFoundError:
                return

    def digests(self) -> Iterator[str]:
        """All files; names that are no digests are somebody else's."""
        with _storage_errors():
            for found in obstore.list(self._store):
                for meta in found:
                    name = meta["path"].replace("/", "")
                    if is_digest(name):
                        yield name

    def url(self, digest: str, seconds: float) -> str | None:
        """A presigned link to GET the file."""
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
            f"The object store failed ({_reason(error)}): see that it can be reached and its keys are right."
        ) from error


def _reason(error: Exception) -> str:
    return str(error).partition("\n")[0]
