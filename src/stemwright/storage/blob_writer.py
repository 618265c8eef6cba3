"""Writers of new files."""

from __future__ import annotations

import hashlib
import logging
import os
from collections.abc import Callable
from io import FileIO
from pathlib import Path
from types import TracebackType
from typing import Protocol

from stemwright.errors import StorageError, storage_error
from stemwright.storage.blob import StoredBlob, Upload

CommitFile = Callable[[Path, StoredBlob], None]
"""Moves a complete file from its path into the store."""


CommitUpload = Callable[[Upload, StoredBlob], None]
"""Gives an upload its name in the store."""


class ByteWriter(Protocol):
    """Writes a file in chunks."""

    def write(self, data: bytes, /) -> object:
        """Writes the next chunk."""


class BlobWriter(ByteWriter, Protocol):
    """Writes a new file of the store. A context manager; discards the file without ``commit``."""

    def __enter__(self) -> BlobWriter:
        """Begins the file; raises StorageError."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    @property
    def size_bytes(self) -> int:
        """Number of bytes written."""

    def write(self, piece: bytes | bytearray | memoryview, /) -> None:
        """Writes bytes; raises StorageError."""

    def commit(self) -> StoredBlob:
        """Stores the file; it is there for good when this returns. Never call it in a transaction.

        Raises:
            StorageError: the file cannot be stored.
        """


class UploadWriter:
    """Sends bytes to an object store as they arrive; no file is written on this machine."""

    def __init__(self, upload: Upload, commit_upload: CommitUpload) -> None:
        self._upload: Upload | None = upload
        self._commit_upload = commit_upload
        self._hash = hashlib.sha256()
        self._size_bytes = 0

    def __enter__(self) -> UploadWriter:
        """Connects to nothing yet."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        upload, self._upload = self._upload, None
        if upload is None:
            return
        try:
            upload.discard()
        except StorageError as failure:  # the sweep deletes it; what ended the upload is told, not this
            logging.getLogger(__name__).warning("a part of an upload stays for now: %s", failure)

    @property
    def size_bytes(self) -> int:
        """Number of bytes written."""
        return self._size_bytes

    def write(self, piece: bytes | bytearray | memoryview) -> None:
        """Sends bytes; raises StorageError."""
        self._open_upload().write(bytes(piece))
        self._hash.update(piece)
        self._size_bytes += len(piece)

    def commit(self) -> StoredBlob:
        """Gives the file its name; raises StorageError."""
        blob = StoredBlob(self._hash.hexdigest(), self._size_bytes)
        self._commit_upload(self._open_upload(), blob)
        self._upload = None
        return blob

    def _open_upload(self) -> Upload:
        if self._upload is None:
            raise ValueError("this writer is not open: it has ended")
        return self._upload


class FileWriter:
    """Streams bytes to a temporary file, unbuffered. A context manager; discards the file without ``commit``."""

    def __init__(self, path: Path, commit_file: CommitFile) -> None:
        self._path = path
        self._commit_file = commit_file
        self._file: FileIO | None = None
        self._hash = hashlib.sha256()
        self._size_bytes = 0

    def __enter__(self) -> FileWriter:
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
