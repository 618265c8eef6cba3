"""A weight file: its URLs, size and digest, the records beside it, and its lock."""

from __future__ import annotations

import hashlib
import json
import re
import stat
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

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
        mirrors: other URLs of the same file, in the order in which they are tried.
        digest_reports: how many public listings, independent of each other, state this digest; 0 for files in the wheel
            and files of the user, whose digest was computed.
        digest_source: one of the listings.
        registry_sha256: digest of the registry, where the user has accepted another one; else empty.
    """

    name: str
    url: str
    size_bytes: int
    sha256: str
    mirrors: tuple[str, ...] = ()
    digest_reports: int = 0
    digest_source: str = ""
    registry_sha256: str = ""

    def __post_init__(self) -> None:
        """Raises ValueError for a name with a path, an invalid size or an invalid digest."""
        if not _NAME.fullmatch(self.name):
            raise ValueError(f"'{self.name}' is not a name for a weights file: give one without folders")
        if self.size_bytes < 1:
            raise ValueError(f"{self.name} cannot have {self.size_bytes} bytes")
        if not _DIGEST.fullmatch(self.sha256):
            raise ValueError(f"the SHA-256 of {self.name} is not 64 hexadecimal digits in lower case")

    @classmethod
    def from_table(cls, table: Mapping[str, Any]) -> Self:
        """Parses the table of a file in a registry."""
        return cls(**{**table, "mirrors": tuple(table.get("mirrors", ()))})

    @property
    def digest_origin(self) -> str:
        """Where the digest comes from, in words; empty where it was computed."""
        if self.registry_sha256:
            return f"accepted by you in place of the registry's {self.registry_sha256}"
        if self.digest_reports == 0:
            return ""
        where = f", {self.digest_source}" if self.digest_source else ""
        if self.digest_reports == 1:
            return f"from one report alone{where}"
        return f"at least {self.digest_reports} public listings agree on it{where.replace(', ', ', one is ', 1)}"

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

    def refused_in(self, folder: Path) -> Path:
        """Path of the record of versions whose digest was wrong."""
        return folder / f".{self.name}.refused.json"

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
