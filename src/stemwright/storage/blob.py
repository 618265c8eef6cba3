"""A stored file as others see it, and where its bytes are stored."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from stemwright.errors import StorageError

PIECE_BYTES = 256 * 1024
"""How much of a file is in memory at once."""

_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class StoredBlob:
    """A file in the store: the SHA-256 of its bytes (64 hex digits), and how many there are."""

    digest: str
    size_bytes: int


class BlobMissing(StorageError):
    """The store has no such file."""


def blob_missing(digest: str) -> BlobMissing:
    """What to tell when a file is not there."""
    return BlobMissing(f"The file {digest[:12]}… is not in the store any more: make or upload it again.")


def object_key(digest: str) -> str:
    """``ab/cdef…``: a folder never holds too many; raises ValueError for what is no digest."""
    if not _DIGEST.fullmatch(digest):
        raise ValueError(f"{digest!r} is no SHA-256")
    return f"{digest[:2]}/{digest[2:]}"


def is_digest(text: str) -> bool:
    """Whether it is the SHA-256 of something, in lower-case hex digits."""
    return _DIGEST.fullmatch(text) is not None


class Backend(Protocol):
    """Storage for bytes: a local folder or an object store. All its errors are StorageErrors."""

    def place(self, path: Path, digest: str) -> None:
        """Moves a whole local file in; it appears at once and whole, in place of any that was there."""

    def local_path(self, digest: str) -> Path | None:
        """Path of the file on this machine; None if it is elsewhere."""

    def read(self, digest: str, start: int, end: int | None) -> Iterator[bytes]:
        """The bytes from ``start`` to before ``end``, in pieces; raises BlobMissing."""

    def size(self, digest: str) -> int | None:
        """The bytes of the file; None where there is none."""

    def delete(self, digest: str) -> None:
        """Removes the file, if it is there."""

    def digests(self) -> Iterator[str]:
        """All files."""

    def url(self, digest: str, seconds: float) -> str | None:
        """A link straight to the file that works for so long, where the backend has such links."""
