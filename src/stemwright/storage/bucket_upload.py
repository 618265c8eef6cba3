"""A file that goes to an object store while it arrives."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import TYPE_CHECKING

import obstore
from obstore.store import ObjectStore

from stemwright.storage.blob import object_key
from stemwright.storage.bucket_errors import storage_errors
from stemwright.storage.bucket_url import BucketUrl

if TYPE_CHECKING:
    from obstore import WritableFile

PART_BYTES = 8 * 1024 * 1024
"""Size of the parts of a large file in bytes; one is in memory for each upload that is under way."""

MAX_CONCURRENT_PARTS = 4

MAX_COPY_BYTES = 5_000_000_000
"""The largest file in bytes that S3 copies in one request."""

UPLOADS_FOLDER = ".incoming"


class BucketUpload:
    """A small file is sent when it is whole. A larger one is sent in parts, under a temporary name until it is whole:
    its final name is its digest.
    """

    def __init__(
        self, store: ObjectStore, place: BucketUrl, is_there: Callable[[str, int], bool] = lambda _digest, _size: False
    ) -> None:
        """Connects to nothing yet.

        Args:
            store: where it goes.
            place: the same in words.
            is_there: whether the store has a file of a digest and size already, which is then not sent.
        """
        self._store = store
        self._place = place
        self._is_there = is_there
        self._head = bytearray()
        self._name = f"{UPLOADS_FOLDER}/{uuid.uuid4().hex}"
        self._parts: WritableFile | None = None
        self._size_bytes = 0

    def write(self, piece: bytes) -> None:
        """Sends bytes, or keeps them while they are few."""
        self._size_bytes += len(piece)
        if self._parts is None:
            self._head += piece
            if len(self._head) <= PART_BYTES:
                return
            self._parts = self._open(self._name)
            piece, self._head = bytes(self._head), bytearray()
        with storage_errors(self._place, "write"):
            self._parts.write(piece)

    def finish(self, digest: str) -> None:
        """Gives the file its name."""
        if self._is_there(digest, self._size_bytes):
            self.discard()
            return
        key = object_key(digest)
        with storage_errors(self._place, "write"):
            if self._parts is None:
                obstore.put(self._store, key, bytes(self._head))
                return
            self._parts.close()
            self._parts = None
            try:
                if self._size_bytes <= MAX_COPY_BYTES:
                    obstore.copy(self._store, self._name, key)
                else:
                    self._send_again(key)
            finally:
                obstore.delete(self._store, self._name)

    def discard(self) -> None:
        """Deletes what was sent."""
        self._head = bytearray()
        if self._parts is not None:
            parts, self._parts = self._parts, None
            with storage_errors(self._place, "delete"):
                parts.__exit__(InterruptedError, InterruptedError(), None)  # this aborts the upload, close() ends it

    def _send_again(self, key: str) -> None:
        with self._open(key) as whole:
            for piece in obstore.get(self._store, self._name).stream(min_chunk_size=PART_BYTES):
                whole.write(piece)

    def _open(self, name: str) -> WritableFile:
        return obstore.open_writer(self._store, name, buffer_size=PART_BYTES, max_concurrency=MAX_CONCURRENT_PARTS)
