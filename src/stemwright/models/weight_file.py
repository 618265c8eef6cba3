"""A weight file, complete or partial: its size and digest, its side files, and its lock."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

OnBytes = Callable[[int], None]
"""Called with the number of bytes read so far; an exception stops the reading."""

_PIECE_BYTES = 1 << 20
_NAME = re.compile(r"[^./\\:\x00-\x1f][^/\\:\x00-\x1f]{0,199}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_RETRY_S = 0.1


@contextmanager
def file_lock(lock: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Holds a lock against other threads and processes; it is released if the process dies.

    The lock file is never removed: another process could then lock a new file of the same name.

    Args:
        lock: path of the lock file.
        on_wait: called ten times a second while waiting; an exception ends the wait.

    Raises:
        OSError: it cannot be written, or the file system does not support locks.
    """
    with lock.open("ab") as file:
        while not _try_lock(file.fileno()):
            on_wait()
            time.sleep(_RETRY_S)
        yield


@dataclass(frozen=True)
class WeightFile:
    """A weight file, as described in the registry.

    Attributes:
        name: file name.
        url: download URL; empty for files in the wheel and files of the user.
        size_bytes: size in bytes.
        sha256: digest in lower case.
    """

    name: str
    url: str
    size_bytes: int
    sha256: str

    def __post_init__(self) -> None:
        """Raises ValueError for a name with a path, an invalid size or an invalid digest."""
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"'{self.name}' is no name for a file of weights: give one without folders")
        if self.size_bytes < 1:
            raise ValueError(f"{self.name} cannot have {self.size_bytes} bytes")
        if not _DIGEST.fullmatch(self.sha256):
            raise ValueError(f"the SHA-256 of {self.name} is not 64 hexadecimal digits in lower case")

    def path_in(self, folder: Path) -> Path:
        """Path of the complete file."""
        return folder / self.name

    def part_in(self, folder: Path) -> Path:
        """Path of the partial file."""
        return folder / f"{self.name}.part"

    def version_in(self, folder: Path) -> Path:
        """Path of the record of the partial file's version."""
        return folder / f"{self.name}.part.json"

    def mark_in(self, folder: Path) -> Path:
        """Path of the record that the complete file was verified."""
        return folder / f".{self.name}.verified.json"

    def matches(self, path: Path, on_bytes: OnBytes | None = None) -> bool:
        """Whether a file exists with the right size and digest.

        Raises:
            OSError: it cannot be read.
        """
        return self._has_size(path) and self._has_digest(path, on_bytes)

    def is_whole_in(self, folder: Path, on_bytes: OnBytes | None = None) -> bool:
        """The same for the file in a folder; it is only read if it changed since it was last verified.

        Raises:
            OSError: it cannot be read.
        """
        path = self.path_in(folder)
        if not self._has_size(path):
            return False
        mark = self._mark(path)  # before reading: if the file changes meanwhile, it is read again next time
        with suppress(OSError, ValueError):
            if json.loads(self.mark_in(folder).read_text(encoding="utf-8")) == mark:
                return True
        if not self._has_digest(path, on_bytes):
            return False
        self._write_mark(folder, mark)
        return True

    def mark_whole_in(self, folder: Path) -> None:
        """Records that the file in a folder was just verified, so that it need not be read again."""
        self._write_mark(folder, self._mark(self.path_in(folder)))

    @contextmanager
    def locked(self, folder: Path, on_wait: Callable[[], None]) -> Iterator[None]:
        """Holds the lock of the file in that folder, as ``file_lock`` does."""
        with file_lock(folder / f".{self.name}.lock", on_wait):
            yield

    def _has_size(self, path: Path) -> bool:
        try:
            facts = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return False
        return stat.S_ISREG(facts.st_mode) and facts.st_size == self.size_bytes

    def _has_digest(self, path: Path, on_bytes: OnBytes | None) -> bool:
        digest, done = hashlib.sha256(), 0
        with path.open("rb") as content:
            while piece := content.read(_PIECE_BYTES):
                digest.update(piece)
                done += len(piece)
                if on_bytes is not None:
                    on_bytes(done)
        return digest.hexdigest() == self.sha256

    def _mark(self, path: Path) -> dict[str, int | str]:
        facts = path.stat()
        return {"size_bytes": facts.st_size, "mtime_ns": facts.st_mtime_ns, "sha256": self.sha256}

    def _write_mark(self, folder: Path, mark: dict[str, int | str]) -> None:
        with suppress(OSError):  # in a read-only folder the file is read again next time
            self.mark_in(folder).write_text(json.dumps(mark), encoding="utf-8")


@dataclass(frozen=True)
class Version:
    """Version of a file on a server. Detects changes early; the digest in the registry decides at the end.

    Attributes:
        url: its URL without credentials.
        etag, modified: the headers ETag and Last-Modified, empty if missing.
    """

    url: str
    etag: str
    modified: str

    @property
    def condition(self) -> str:
        """Value of the If-Range header; weak ETags cannot be used there."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified

    def contradicts(self, other: Version) -> bool:
        """Whether the headers show that the two versions differ."""
        return self.url == other.url and "" not in (self.etag, other.etag) and self.etag != other.etag


class PartFile:
    """The partial file and its running digest. A context manager; the caller holds the file's lock."""

    def __init__(self, file: WeightFile, folder: Path) -> None:
        self._file = file
        self._folder = folder
        self._path = file.part_in(folder)
        self._version_path = file.version_in(folder)
        self._digest = hashlib.sha256()
        self.size_bytes = 0
        self.version: Version | None = None
        self.was_resumed = False

    def __enter__(self) -> Self:
        self._content = self._path.open("a+b")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._content.close()

    @property
    def matches_digest(self) -> bool:
        """Whether the digest is that of the complete file."""
        return self._digest.hexdigest() == self._file.sha256

    def resume(self, on_bytes: Callable[[int], None]) -> None:
        """Reads the partial file of an earlier attempt; a file that is too long is dropped."""
        self._content.seek(0, os.SEEK_END)
        if self._content.tell() > self._file.size_bytes:
            self.begin(None)
        self._content.seek(0)
        while piece := self._content.read(_PIECE_BYTES):
            self._digest.update(piece)
            self.size_bytes += len(piece)
            on_bytes(self.size_bytes)
        self.was_resumed = self.size_bytes > 0
        with suppress(OSError, ValueError, TypeError):  # without it only the digest shows whether the halves match
            self.version = Version(**json.loads(self._version_path.read_text(encoding="utf-8")))

    def begin(self, version: Version | None) -> None:
        """Drops the content and starts again with that version."""
        self._content.truncate(0)
        self._digest = hashlib.sha256()
        self.size_bytes = 0
        self.was_resumed = False
        self.version = version
        if version is None:
            self._version_path.unlink(missing_ok=True)
        else:
            self._version_path.write_text(json.dumps(asdict(version)), encoding="utf-8")

    def append(self, start_byte: int, version: Version) -> None:
        """Prepares for bytes from an offset; if it is not the end of the partial file, starts again."""
        if start_byte == 0:
            self.begin(version)
        else:
            self.was_resumed = True

    def write(self, piece: bytes) -> None:
        """Appends bytes."""
        self._content.write(piece)
        self._digest.update(piece)
        self.size_bytes += len(piece)

    def finish(self) -> None:
        """Syncs the file to disk and renames it."""
        self._content.flush()
        os.fsync(self._content.fileno())
        self._content.close()  # Windows cannot rename an open file
        self._path.replace(self._file.path_in(self._folder))
        self._version_path.unlink(missing_ok=True)
        self._file.mark_whole_in(self._folder)

    def remove(self) -> None:
        """Deletes the partial file and its record."""
        self._content.close()
        self._path.unlink()
        self._version_path.unlink(missing_ok=True)


def _try_lock(handle: int) -> bool:
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except PermissionError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
