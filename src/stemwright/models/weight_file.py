"""A file of weights, whole or in the making: what it must be, what lies beside it, and who may write it."""

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
"""Is told how many bytes were read so far; what it raises ends the reading."""

_PIECE_BYTES = 1 << 20
_NAME = re.compile(r"[^./\\:\x00-\x1f][^/\\:\x00-\x1f]{0,199}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_RETRY_S = 0.1


@contextmanager
def file_lock(lock: Path, on_wait: Callable[[], None]) -> Iterator[None]:
    """Holds a lock against other threads and processes; whoever dies lets go of it.

    Its file stays: were it removed, a newcomer could lock another one of the same name.

    Args:
        lock: its file.
        on_wait: called ten times a second while another holds it; what it raises ends the wait.

    Raises:
        OSError: it cannot be written, or its folder knows no locks.
    """
    with lock.open("ab") as file:
        while not _try_lock(file.fileno()):
            on_wait()
            time.sleep(_RETRY_S)
        yield


@dataclass(frozen=True)
class WeightFile:
    """One file of weights, as the registry describes it.

    Attributes:
        name: of the file in whichever folder it lies.
        url: where it comes from; empty for what ships in the wheel and for what the user brought.
        size_bytes: its size.
        sha256: its digest, in lower case.
    """

    name: str
    url: str
    size_bytes: int
    sha256: str

    def __post_init__(self) -> None:
        """Raises ValueError for a name that leads elsewhere, and for what can be neither size nor digest."""
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"'{self.name}' is no name for a file of weights: give one without folders")
        if self.size_bytes < 1:
            raise ValueError(f"{self.name} cannot have {self.size_bytes} bytes")
        if not _DIGEST.fullmatch(self.sha256):
            raise ValueError(f"the SHA-256 of {self.name} is not 64 hexadecimal digits in lower case")

    def path_in(self, folder: Path) -> Path:
        """Where it lies when it is whole."""
        return folder / self.name

    def part_in(self, folder: Path) -> Path:
        """Where it grows while it is downloaded."""
        return folder / f"{self.name}.part"

    def version_in(self, folder: Path) -> Path:
        """Where it is kept which state of the server's file the part is of."""
        return folder / f"{self.name}.part.json"

    def mark_in(self, folder: Path) -> Path:
        """Where it is kept that the whole file was verified."""
        return folder / f".{self.name}.verified.json"

    def matches(self, path: Path, on_bytes: OnBytes | None = None) -> bool:
        """Whether a file has the right size and digest; a missing one has not.

        Raises:
            OSError: it cannot be read.
        """
        return self._has_size(path) and self._has_digest(path, on_bytes)

    def is_whole_in(self, folder: Path, on_bytes: OnBytes | None = None) -> bool:
        """The same of the file in a folder, and read only if it changed since it was last found right.

        Raises:
            OSError: it cannot be read.
        """
        path = self.path_in(folder)
        if not self._has_size(path):
            return False
        mark = self._mark(path)  # before the reading: what changes meanwhile is read again the next time
        with suppress(OSError, ValueError):
            if json.loads(self.mark_in(folder).read_text(encoding="utf-8")) == mark:
                return True
        if not self._has_digest(path, on_bytes):
            return False
        self._write_mark(folder, mark)
        return True

    def mark_whole_in(self, folder: Path) -> None:
        """Keeps that the file in a folder was just found right, so that it need not be read again."""
        self._write_mark(folder, self._mark(self.path_in(folder)))

    @contextmanager
    def locked(self, folder: Path, on_wait: Callable[[], None]) -> Iterator[None]:
        """Holds the file of that folder against other threads and processes, as ``file_lock`` does."""
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
        with suppress(OSError):  # in a folder that may only be read the file is read again the next time
            self.mark_in(folder).write_text(json.dumps(mark), encoding="utf-8")


@dataclass(frozen=True)
class Version:
    """Which state of the file a server gave. The digest in the registry has the last word; this saves the way to it.

    Attributes:
        url: whence, without a password.
        etag, modified: the headers ETag and Last-Modified, empty where there were none.
    """

    url: str
    etag: str
    modified: str

    @property
    def condition(self) -> str:
        """What If-Range can say of it; a weak tag stands for no bytes."""
        return self.etag if self.etag and not self.etag.startswith("W/") else self.modified

    def contradicts(self, other: Version) -> bool:
        """Whether the two cannot be of the same bytes, as far as their server says."""
        return self.url == other.url and "" not in (self.etag, other.etag) and self.etag != other.etag


class PartFile:
    """The file in the making, and the digest of what is in it. A context manager; the caller holds the file's lock."""

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
        """Whether the digest is that of the whole file."""
        return self._digest.hexdigest() == self._file.sha256

    def resume(self, on_bytes: Callable[[int], None]) -> None:
        """Reads what an earlier try left behind; what is too long to be of use is dropped."""
        self._content.seek(0, os.SEEK_END)
        if self._content.tell() > self._file.size_bytes:
            self.begin(None)
        self._content.seek(0)
        while piece := self._content.read(_PIECE_BYTES):
            self._digest.update(piece)
            self.size_bytes += len(piece)
            on_bytes(self.size_bytes)
        self.was_resumed = self.size_bytes > 0
        with suppress(OSError, ValueError, TypeError):  # without it the digest alone tells whether the halves fit
            self.version = Version(**json.loads(self._version_path.read_text(encoding="utf-8")))

    def begin(self, version: Version | None) -> None:
        """Drops what there is; what comes now is of that version."""
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
        """Makes ready for bytes from a place on: those that do not go on from here begin anew."""
        if start_byte == 0:
            self.begin(version)
        else:
            self.was_resumed = True

    def write(self, piece: bytes) -> None:
        """Adds bytes."""
        self._content.write(piece)
        self._digest.update(piece)
        self.size_bytes += len(piece)

    def finish(self) -> None:
        """Gives the file its name, once the disk has all of it."""
        self._content.flush()
        os.fsync(self._content.fileno())
        self._content.close()  # Windows renames no open file
        self._path.replace(self._file.path_in(self._folder))
        self._version_path.unlink(missing_ok=True)
        self._file.mark_whole_in(self._folder)

    def remove(self) -> None:
        """Leaves nothing behind."""
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
