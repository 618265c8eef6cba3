"""Stored files (blobs) and the interface of storage backends."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

from stemwright.errors import StorageError

PIECE_BYTES = 256 * 1024
"""Chunk size in bytes: the part of a file in memory at once."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class StoredBlob:
    """A file in the store: SHA-256 of its content (64 hex digits) and size in bytes."""

    digest: str
    size_bytes: int


class BlobMissing(StorageError):
    """The file is not in the store."""


class StoreUnreachable(StorageError):
    """The object store does not answer, or says that it cannot work for now."""


def blob_missing(digest: str) -> BlobMissing:
    """Returns the error for a missing file."""
    return BlobMissing(f"The file {digest[:12]}… is no longer in the store: create or upload it again.")


def object_key(digest: str) -> str:
    """Returns ``ab/cdef…``, which keeps folders small; raises ValueError for an invalid digest."""
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"{digest!r} is not a SHA-256")
    return f"{digest[:2]}/{digest[2:]}"


def is_digest(text: str) -> bool:
    """Whether the text is a SHA-256 digest in lower-case hex."""
    return _DIGEST.fullmatch(text) is not None


@dataclass(frozen=True)
class FileLink:
    """What a direct link to a file of an object store is for.

    Attributes:
        method: it is good for this one only.
        seconds: how long it is valid.
        media_type, disposition, cache_control: the headers that the store sends with the file.
    """

    method: Literal["GET", "HEAD"]
    seconds: int
    media_type: str
    disposition: str
    cache_control: str


class Upload(Protocol):
    """A file that goes to the store while it arrives, under a temporary name."""

    def write(self, piece: bytes) -> None:
        """Sends bytes; raises StorageError."""

    def finish(self, digest: str) -> None:
        """Gives the whole file its name; raises StorageError."""

    def discard(self) -> None:
        """Deletes what was sent; has no effect after ``finish``."""


class Backend(Protocol):
    """Storage backend: a local folder or an object store. All its errors are StorageErrors."""

    def __str__(self) -> str:
        """Where the files are, in words for the operator."""

    def place(self, path: Path, digest: str) -> None:
        """Moves a complete local file into the store, atomically; replaces an existing file."""

    def upload(self) -> Upload | None:
        """Begins a file that goes to the store while it arrives; None if it is written to a local file first."""

    def local_path(self, digest: str) -> Path | None:
        """Returns the path of the file on this machine; None if it is remote."""

    def read(self, digest: str, start: int, end: int | None) -> Iterator[bytes]:
        """Yields the bytes from ``start`` up to ``end`` (exclusive), in chunks; raises BlobMissing."""

    def size(self, digest: str) -> int | None:
        """Returns the size in bytes; None if missing."""

    def delete(self, digest: str) -> None:
        """Deletes the file if it exists."""

    def digests(self) -> Iterator[str]:
        """Yields the digests of all files."""

    def url(self, digest: str, link: FileLink) -> str | None:
        """Returns a direct link to the file; None if the backend has no such links."""

    def sweep(self, older_than_s: float) -> int:
        """Deletes what uploads left in the store that ended ``older_than_s`` seconds ago or more; returns its number."""

    def check(self) -> None:
        """Writes, reads, lists and deletes a small file, and gives up soon; raises StorageError."""
