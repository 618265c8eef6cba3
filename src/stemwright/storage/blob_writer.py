"""A file on its way into the store."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Protocol

from stemwright.errors import storage_error
from stemwright.storage.blob import StoredBlob

CommitFile = Callable[[Path, StoredBlob], None]
"""Takes a whole file into the store, away from its path."""


class ByteWriter(Protocol):
    """Takes the bytes of a file piece by piece."""

    def write(self, data: bytes, /) -> object:
        """Takes the next bytes."""


class BlobWriter:
    """Takes bytes piece by piece and holds none of them; a context manager. Without ``commit`` nothing is left."""

    def __init__(self, path: Path, commit_file: CommitFile) -> None:
        self._path = path
        self._commit_file = commit_file
        self._file: FileIO | None = None
        self._hash = hashlib.sha256()
        self._size_bytes = 0

    def __enter__(self) -> BlobWriter:
        """Opens the temporary file.

        Raises:
            StorageError: it cannot be made.
        """
        try:
            self._file = FileIO(self._path, "xb")
        except OSError as error:
            raise storage_error(error, self._path) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._discard()

    @property
    def path(self) -> Path:
        """Where the file in the making lies, on this machine; what was written is there at once."""
        return self._path

    @property
    def size_bytes(self) -> int:
        """How much was written."""
        return self._size_bytes

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        """Adds bytes.

        Raises:
            StorageError: the disk is full or failed; the file is gone then.
        """
        file = self._open_file()
        rest = memoryview(piece)
        try:
            while rest:
                rest = rest[file.write(rest) :]  # a nearly full disk takes a part
        except OSError as error:
            self._discard()
            raise storage_error(error, self._path) from error
        self._hash.update(piece)
        self._size_bytes += len(piece)

    def commit(self) -> StoredBlob:
        """Puts the file into the store; it is on the disk when this returns. Never call it within a transaction.

        Raises:
            StorageError: it cannot be stored; nothing is left of it.
        """
        file = self._open_file()
        blob = StoredBlob(self._hash.hexdigest(), self._size_bytes)
        try:
            os.fsync(file.fileno())
            file.close()
            self._commit_file(self._path, blob)
        except OSError as error:
            raise storage_error(error, self._path) from error
        finally:
            self._discard()
        return blob

    def _open_file(self) -> FileIO:
        if self._file is None:
            raise ValueError("this writer is not open: it has ended, or was never entered")
        return self._file

    def _discard(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            self._path.unlink(missing_ok=True)
