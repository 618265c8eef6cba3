"""Storage backend for a local folder."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from stemwright.errors import storage_error
from stemwright.storage.blob import PIECE_BYTES, FileLink, blob_missing, is_digest, object_key


class FolderBackend:
    """Folder of files named by digest. Files are complete and synced to disk before they get their final name."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def __str__(self) -> str:
        """The folder."""
        return str(self._root)

    def place(self, path: Path, digest: str) -> None:
        """Renames ``path``, which must be on the same file system (else OSError EXDEV)."""
        target = self._root / object_key(digest)
        if not target.parent.exists():
            target.parent.mkdir(parents=True, exist_ok=True)
            sync_folder(self._root)
        path.replace(target)
        sync_folder(target.parent)

    def upload(self) -> None:
        """Returns None: a file is written to a temporary one first."""
        return None

    def local_path(self, digest: str) -> Path | None:
        """Returns the path of the file."""
        path = self._root / object_key(digest)
        return path if path.is_file() else None

    def read(self, digest: str, start: int, end: int | None) -> Iterator[bytes]:
        """Yields the bytes from ``start`` up to ``end`` (exclusive), even if the file is deleted meanwhile."""
        try:
            with (self._root / object_key(digest)).open("rb", buffering=0) as file:
                file.seek(start)
                left = None if end is None else end - start
                while left is None or left > 0:
                    piece = file.read(PIECE_BYTES if left is None else min(PIECE_BYTES, left))
                    if not piece:
                        return
                    left = None if left is None else left - len(piece)
                    yield piece
        except FileNotFoundError as error:
            raise blob_missing(digest) from error

    def size(self, digest: str) -> int | None:
        """Returns the size in bytes; None if missing."""
        try:
            return (self._root / object_key(digest)).stat().st_size
        except FileNotFoundError:
            return None

    def delete(self, digest: str) -> None:
        """Deletes the file if it exists."""
        path = self._root / object_key(digest)
        try:
            path.unlink(missing_ok=True)
        except OSError as error:
            raise storage_error(error, path) from error

    def digests(self) -> Iterator[str]:
        """Yields the digests of all files; skips names that are not digests."""
        for shelf in self._root.iterdir():
            if len(shelf.name) == 2 and shelf.is_dir():
                for path in shelf.iterdir():
                    if is_digest(shelf.name + path.name):
                        yield shelf.name + path.name

    def url(self, digest: str, link: FileLink) -> str | None:
        """Returns None: local files are served through the server's own links."""
        return None

    def sweep(self, older_than_s: float) -> int:
        """Returns 0: temporary files are the store's."""
        return 0

    def check(self) -> None:
        """Writes a small file and deletes it."""
        path = self._root / f".check-{uuid.uuid4().hex}"
        try:
            path.write_bytes(b"\0")
            path.unlink()
        except OSError as error:
            path.unlink(missing_ok=True)
            raise storage_error(error, path) from error


def sync_folder(folder: Path) -> None:
    """Syncs a folder, so that new names survive a power failure."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
