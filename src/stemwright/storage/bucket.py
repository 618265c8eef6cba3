"""Files in an object store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import obstore
from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, ObjectStore, S3Store, from_url

from stemwright.errors import StorageError, UsageError
from stemwright.storage.blob import PIECE_BYTES, is_digest, key, missing

UPLOADS_AT_ONCE = 4
"""Parts of 5 MiB each: what a large file holds in memory on its way."""


class Bucket:
    """Files under a prefix of an S3-compatible store, or of another that obstore knows."""

    def __init__(self, store: ObjectStore, *, skips_known: bool) -> None:
        self._store = store
        self._skips_known = skips_known

    @classmethod
    def at(cls, url: str, *, skips_known: bool = False) -> Bucket:
        """The bucket of a URL, ``s3://bucket/prefix``; its region, endpoint and keys come from ``AWS_*``.

        Args:
            url: where it is.
            skips_known: a file that is there is not uploaded again. Then the time of an upload tells whether any account
                has the same file.

        Raises:
            UsageError: there is no such kind of store.
        """
        try:
            return cls(from_url(url), skips_known=skips_known)
        except (BaseError, ValueError) as error:
            raise UsageError(f"STEMWRIGHT_STORAGE_URL cannot be used ({_reason(error)}); write s3://bucket.") from error

    def place(self, path: Path, digest: str) -> None:
        """Uploads a file and removes the local one."""
        if not (self._skips_known and self.size(digest) == path.stat().st_size):
            with _told():
                obstore.put(self._store, key(digest), path, max_concurrency=UPLOADS_AT_ONCE)
        path.unlink()

    def local_path(self, digest: str) -> Path | None:
        """None: it is elsewhere."""
        return None

    def read(self, digest: str, start: int, end: int | None) -> Iterator[bytes]:
        """The bytes from ``start`` to before ``end``."""
        if end is not None and end <= start:
            return
        try:
            with _told():
                found = obstore.get(
                    self._store, key(digest), options={"range": {"offset": start} if end is None else (start, end)}
                )
                for piece in found.stream(min_chunk_size=PIECE_BYTES):
                    yield bytes(piece)
        except FileNotFoundError as error:
            raise missing(digest) from error

    def size(self, digest: str) -> int | None:
        """The bytes of the file; None where there is none."""
        try:
            with _told():
                return obstore.head(self._store, key(digest))["size"]
        except FileNotFoundError:
            return None

    def delete(self, digest: str) -> None:
        """Removes the file, if it is there."""
        with _told():
            try:
                obstore.delete(self._store, key(digest))
            except FileNotFoundError:
                return

    def digests(self) -> Iterator[str]:
        """All files; names that are no digests are somebody else's."""
        with _told():
            for found in obstore.list(self._store):
                for meta in found:
                    name = meta["path"].replace("/", "")
                    if is_digest(name):
                        yield name

    def url(self, digest: str, seconds: float) -> str | None:
        """A presigned link to GET the file."""
        if not isinstance(self._store, S3Store | GCSStore | AzureStore):
            return None
        with _told():
            return obstore.sign(self._store, "GET", key(digest), timedelta(seconds=seconds))


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except BaseError as error:
        raise StorageError(
            f"The object store failed ({_reason(error)}): see that it can be reached and its keys are right."
        ) from error


def _reason(error: Exception) -> str:
    return str(error).partition("\n")[0]
