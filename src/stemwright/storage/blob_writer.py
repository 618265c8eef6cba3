"""Writes a new file to the store."""

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
"""Moves a complete file from its path into the store."""


class ByteWriter(Protocol):
    """Writes a file in chunks."""

    def write(self, data: bytes, /) -> object:
        """Writes the next chunk."""


class BlobWriter:
    """Streams bytes to a temporary file, unbuffered. A context manager; discards the file without ``commit``."""

    def __init__(self, path: Path, commit_file: CommitFile) -> None:
        self._path = path
        self._commit_file = commit_file
        self._file: FileIO | None = None
        self._hash = hashlib.sha256()
        self._size_bytes = 0

    def __enter__(self) -> BlobWriter:
        """Opens the temporary file.

        Raises:
            StorageError: the file cannot be created.
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
        """Path of the temporary local file; written bytes are visible at once."""
        return self._path

    @property
    def size_bytes(self) -> int:
        """Number of bytes written."""
        return self._size_bytes

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        """Writes bytes.

        Raises:
            StorageError: the disk is full or failed; the temporary file is deleted then.
        """
        file = self._open_file()
        rest = memoryview(piece)
        try:
            while rest:
                rest = rest[file.write(rest) :]  # a nearly full disk may accept only a part
        except OSError as error:
            self._discard()
            raise storage_error(error, self._path) from error
        self._hash.update(piece)
        self._size_bytes += len(piece)

    def commit(self) -> StoredBlob:
        """Stores the file; it is on disk when this returns. Never call it in a transaction.

        Raises:
            StorageError: the file cannot be stored; the temporary file is deleted.
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
