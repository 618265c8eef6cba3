"""A file of weights: what it must be, what lies beside it in its folder, and who may write it."""

from __future__ import annotations

import hashlib
import json
import re
import stat
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

OnBytes = Callable[[int], None]
"""Is told how many bytes were read so far; what it raises ends the reading."""

_PIECE_BYTES = 1 << 20
_NAME = re.compile(r"[^./\\:\x00-\x1f][^/\\:\x00-\x1f]{0,199}")
_DIGEST = re.compile(r"[0-9a-f]{64}")
_LOOK_AGAIN_S = 0.1


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
    def locked(self, folder: Path, waiting: Callable[[], None]) -> Iterator[None]:
        """Holds the file against other threads and processes; whoever dies lets go of it.

        The file of the lock stays: were it removed, a newcomer could lock another one of the same name.

        Args:
            folder: where the file is to lie.
            waiting: called ten times a second while another holds it; what it raises ends the wait.

        Raises:
            OSError: the folder cannot be written, or knows no locks.
        """
        with (folder / f".{self.name}.lock").open("ab") as lock:
            while not _try_lock(lock.fileno()):
                waiting()
                time.sleep(_LOOK_AGAIN_S)
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
