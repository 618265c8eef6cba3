"""Storage backend for object stores."""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import obstore
from obstore.store import ObjectStore

from stemwright.errors import StorageError
from stemwright.storage.blob import PIECE_BYTES, FileLink, blob_missing, is_digest, object_key
from stemwright.storage.bucket_connection import connect
from stemwright.storage.bucket_errors import no_bucket, storage_errors
from stemwright.storage.bucket_upload import MAX_CONCURRENT_PARTS, PART_BYTES, UPLOADS_FOLDER, BucketUpload
from stemwright.storage.bucket_url import BucketUrl, parse_bucket_url
from stemwright.storage.s3 import S3Bucket

WRITE_PATIENCE_S = 180.0
"""How long a store may be unreachable before what is written fails: what was separated is worth the wait."""

READ_PATIENCE_S = 30.0
"""The same for what a client may be waiting for."""

CHECK_PATIENCE_S = 5.0

CHECK_FOLDER = ".check"


class BucketBackend:
    """Files under a prefix of an object store."""

    def __init__(
        self,
        place: BucketUrl,
        *,
        public_url: str | None = None,
        redirects: bool = True,
        skip_existing: bool = False,
    ) -> None:
        """Opens the bucket; connects to nothing yet.

        Args:
            place: where the files are.
            public_url: URL of the store for clients.
            redirects: whether ``url`` gives links.
            skip_existing: do not upload a file that exists. The upload time then reveals whether any account has the
                same file.

        Raises:
            UsageError: there are no keys, or a package is missing.
        """
        self._s3 = S3Bucket(place, public_url) if place.scheme == "s3" else None
        self._place = self._s3.place if self._s3 is not None else place
        self._redirects = redirects and self._s3 is not None
        self._skip_existing = skip_existing
        self._writes, self._reads = self._connect(WRITE_PATIENCE_S), self._connect(READ_PATIENCE_S)
        self._checks = self._connect(CHECK_PATIENCE_S)

    @classmethod
    def from_url(
        cls, url: str, *, public_url: str | None = None, redirects: bool = True, skip_existing: bool = False
    ) -> BucketBackend:
        """Opens the bucket at a URL, ``s3://bucket/prefix``; see ``__init__``."""
        place = parse_bucket_url(url)
        return cls(place, public_url=public_url, redirects=redirects, skip_existing=skip_existing)

    def __str__(self) -> str:
        """Where it is, and who sends the files to clients."""
        if not self._redirects:
            return f"{self._place}; this server sends the files to clients"
        assert self._s3 is not None
        return f"{self._place}; clients get the files from {self._s3.public_endpoint or 'there'}"

    def place(self, path: Path, digest: str) -> None:
        """Uploads a file and deletes the local one."""
        if not self._may_skip(digest, path.stat().st_size):
            with path.open("rb") as file, storage_errors(self._place, "write"):
                obstore.put(
                    self._writes,
                    object_key(digest),
                    file,
                    chunk_size=PART_BYTES,
                    max_concurrency=MAX_CONCURRENT_PARTS,
                )
        path.unlink()

    def upload(self) -> BucketUpload:
        """Begins a file that is sent while it arrives."""
        return BucketUpload(self._writes, self._place, self._may_skip)

    def local_path(self, digest: str) -> Path | None:
        """Returns None: files are remote."""
        return None

    def read(self, digest: str, start: int, end: int | None) -> Iterator[bytes]:
        """Yields the bytes from ``start`` up to ``end`` (exclusive)."""
        if end is not None and end <= start:
            return
        try:
            with storage_errors(self._place, "read"):
                found = obstore.get(
                    self._reads,
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
            with storage_errors(self._place, "read"):
                return obstore.head(self._reads, object_key(digest))["size"]
        except FileNotFoundError:
            return None

    def delete(self, digest: str) -> None:
        """Deletes the file if it exists. Does not wait for a store that is down: the caller may hold a lock."""
        self._delete(self._checks, object_key(digest))

    def digests(self) -> Iterator[str]:
        """Yields the digests of all files; skips names that are not digests."""
        with storage_errors(self._place, "list"):
            for found in obstore.list(self._writes):
                for meta in found:
                    name = meta["path"].replace("/", "")
                    if is_digest(name):
                        yield name

    def url(self, digest: str, link: FileLink) -> str | None:
        """Returns a presigned link to a file in S3; None for other stores."""
        if not self._redirects:
            return None
        assert self._s3 is not None
        return self._s3.signed_url(object_key(digest), link)

    def sweep(self, older_than_s: float) -> int:
        """Deletes files and parts of uploads whose process died."""
        removed, limit = 0, time.time() - older_than_s
        with storage_errors(self._place, "list"):
            found = [meta for folder in (UPLOADS_FOLDER, CHECK_FOLDER) for meta in self._files(folder)]
        for path, changed_at in found:
            if changed_at <= limit:
                self._delete(self._reads, path)
                removed += 1
        for upload in self._s3.unfinished_uploads() if self._s3 is not None else ():
            if upload.began_at.timestamp() <= limit:
                self._s3.abort(upload)  # type: ignore[union-attr]
                removed += 1
        return removed

    def check(self) -> None:
        """Writes, reads, lists and deletes a small file."""
        name = f"{CHECK_FOLDER}/{uuid.uuid4().hex}"
        try:
            with storage_errors(self._place, "write"):
                obstore.put(self._checks, name, b"stemwright")
            with storage_errors(self._place, "read"):
                obstore.get(self._checks, name).bytes()
            with storage_errors(self._place, "list"):
                next(iter(obstore.list(self._checks, CHECK_FOLDER)), None)
        except FileNotFoundError as error:  # where nothing can be written there is no bucket, in Google's words
            raise no_bucket(self._place) from error
        except StorageError:
            with suppress(StorageError):
                self._delete(self._checks, name)
            raise
        self._delete(self._checks, name)

    def _may_skip(self, digest: str, size_bytes: int) -> bool:
        return self._skip_existing and self.size(digest) == size_bytes

    def _files(self, folder: str) -> Iterator[tuple[str, float]]:
        for found in obstore.list(self._reads, folder):
            for meta in found:
                yield meta["path"], meta["last_modified"].timestamp()

    def _delete(self, store: ObjectStore, path: str) -> None:
        with storage_errors(self._place, "delete"):
            try:
                obstore.delete(store, path)
            except FileNotFoundError:
                return

    def _connect(self, patience_s: float) -> ObjectStore:
        return connect(self._place, self._s3, patience_s)
