"""Working files: the outputs of the engines so far, on disk. They are the resume state of a song.

The folder of a song has ``recipe.json``, the key of the run (its song, models and options), and a folder for each step of
the plan. The folder of a step has two files of rows that grow chunk by chunk, ``outputs`` (banded masks, or samples) and
``levels`` (energies, from which presence is scored), and ``state.json``, which says how many rows are valid. The state is
replaced after the rows are on disk, so a killed process only loses the current chunk.
"""

from __future__ import annotations

import errno
import glob
import json
import os
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import DTypeLike, NDArray

from stemwright.errors import StorageError, storage_error

Rows = NDArray[Any]
RunKey = dict[str, Any]
"""Song, models and options of a run. A run is resumed only where the key is equal."""

REMOVED = ".removed"
"""Suffix of a folder that is being deleted."""

ATTEMPTS = 1000
"""Attempts to lock a folder that another run may delete at the same time."""


@dataclass(frozen=True)
class StepState:
    """How many rows of a step's files are valid.

    Attributes:
        n_chunks: chunks whose rows are on disk.
        n_outputs: rows of ``outputs``.
        n_levels: rows of ``levels``.
        complete: whether they include the last chunk.
    """

    n_chunks: int = 0
    n_outputs: int = 0
    n_levels: int = 0
    complete: bool = False


class RowFile:
    """A file of rows of one shape and type, appended to and read back by row number."""

    def __init__(self, path: Path, row_shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self._path = path
        self._shape = row_shape
        self._dtype = np.dtype(dtype)
        self._file = path.open("a+b")
        self.n_rows = 0

    @property
    def row_bytes(self) -> int:
        """Bytes of one row."""
        return int(np.prod(self._shape)) * self._dtype.itemsize

    def truncate(self, n_rows: int) -> None:
        """Keeps the first ``n_rows`` rows."""
        self._file.truncate(n_rows * self.row_bytes)
        self.n_rows = n_rows

    def append(self, rows: Rows) -> None:
        """Adds ``(rows, *row_shape)`` at the end and waits until they are on the disk."""
        try:
            self._file.write(np.ascontiguousarray(rows, self._dtype).data)
            self._file.flush()
            os.fsync(self._file.fileno())
        except OSError as error:
            raise storage_error(error, self._path) from error
        self.n_rows += len(rows)

    def read(self, start: int, stop: int) -> Rows:
        """Rows ``start`` to ``stop``, ``(rows, *row_shape)``; fewer where the file ends."""
        count = max(0, min(stop, self.n_rows) - start)
        self._file.seek(start * self.row_bytes)
        data = self._file.read(count * self.row_bytes)
        return np.frombuffer(data, self._dtype).reshape(count, *self._shape)

    def close(self) -> None:
        """Closes the file; a second time does nothing."""
        self._file.close()


class StepFiles:
    """The folder of one step: the outputs of its engine so far, including those of an earlier run."""

    def __init__(self, folder: Path, row_shape: tuple[int, ...], dtype: DTypeLike) -> None:
        self.folder = folder
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.state = StepState(**(_read_json(folder / "state.json") or {}))
            self.outputs = RowFile(folder / "outputs", row_shape, dtype)
            self.levels = RowFile(folder / "levels", (row_shape[0] + 2,), np.float64)
            self.outputs.truncate(self.state.n_outputs)
            self.levels.truncate(self.state.n_levels)
        except OSError as error:
            raise storage_error(error, folder) from error

    def add(self, outputs: Rows, levels: Rows | None = None, *, is_last: bool) -> None:
        """Appends the rows of one more chunk durably."""
        self.outputs.append(outputs)
        if levels is not None:
            self.levels.append(levels)
        self.state = StepState(self.state.n_chunks + 1, self.outputs.n_rows, self.levels.n_rows, is_last)
        try:
            _replace_json(self.folder / "state.json", asdict(self.state))
        except OSError as error:
            raise storage_error(error, self.folder) from error

    def close(self) -> None:
        """Closes the files without deleting them."""
        self.outputs.close()
        self.levels.close()


class WorkingFiles:
    """The working folder of one song. Only one run at a time can lock it.

    With ``resume`` the steps of an earlier run are kept if its key is equal; otherwise the folder is emptied.

    Raises:
        StorageError: the folder cannot be written, or another run has locked it.
    """

    def __init__(self, folder: Path, key: RunKey, *, resume: bool) -> None:
        self.folder = folder
        self.stems = folder / "stems"  # complete files, before they get their final names
        self._steps: list[StepFiles] = []
        try:
            self._lock = _lock_folder(folder)
            for leftover in folder.parent.glob(f"{glob.escape(folder.name)}.*{REMOVED}"):  # of a run that was killed
                shutil.rmtree(leftover, ignore_errors=True)
            if not (resume and _read_json(folder / "recipe.json") == key):
                _empty(folder)
                _replace_json(folder / "recipe.json", key)
            self.stems.mkdir(exist_ok=True)
        except OSError as error:
            raise storage_error(error, folder) from error

    @staticmethod
    def begun_key(folder: Path) -> RunKey | None:
        """The key of the run that began in a folder and was interrupted; None if there is none."""
        return _read_json(folder / "recipe.json")

    @property
    def has_finished_step(self) -> bool:
        """Whether a step is complete, in this run or in the one that it resumes."""
        return any(files.state.complete for files in self._steps)

    def step(self, name: str, row_shape: tuple[int, ...], dtype: DTypeLike) -> StepFiles:
        """Opens the files of a step, whose rows are ``(outputs, ...)``."""
        files = StepFiles(self.folder / name, row_shape, dtype)
        self._steps.append(files)
        return files

    def save_facts(self, name: str, facts: dict[str, Any]) -> dict[str, Any]:
        """Saves facts about the song for a later resume, and returns them."""
        try:
            _replace_json(self.folder / f"{name}.json", facts)
        except OSError as error:
            raise storage_error(error, self.folder) from error
        return facts

    def load_facts(self, name: str) -> dict[str, Any] | None:
        """The facts saved under that name, or None."""
        return _read_json(self.folder / f"{name}.json")

    def close(self) -> None:
        """Unlocks the folder without deleting it."""
        for files in self._steps:
            files.close()
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def remove(self) -> None:
        """Deletes the folder: the song is done."""
        # Renamed before unlocking: another run may lock the folder at once, and its files must not be deleted.
        removed = self.folder
        if self._lock is not None:
            with suppress(OSError):  # already deleted, or cannot be renamed
                name = f"{self.folder.name}.{os.getpid()}-{id(self):x}{REMOVED}"
                removed = self.folder.rename(self.folder.with_name(name))
        self.close()
        shutil.rmtree(removed, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        content: dict[str, Any] = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    return content


def _replace_json(path: Path, content: dict[str, Any]) -> None:
    temporary = path.with_suffix(".new")
    temporary.write_text(json.dumps(content))
    temporary.replace(path)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        elif path.name != "lock":
            path.unlink()


def _lock_folder(folder: Path) -> int | None:
    """Creates the folder and locks it. Tries again if a run that ends deletes it before it is locked."""
    for _ in range(ATTEMPTS):
        try:
            folder.mkdir(parents=True, exist_ok=True)
            handle = _lock(folder / "lock")
        except (FileNotFoundError, FileExistsError):
            if folder.exists() and not folder.is_dir():
                raise
            continue
        if handle is None or _is_same_file(folder / "lock", handle):
            return handle
        os.close(handle)
    raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), str(folder))


def _is_same_file(path: Path, handle: int) -> bool:
    """Whether an open file still has its name."""
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False


def _lock(path: Path) -> int | None:
    try:
        import fcntl
    except ImportError:  # Windows has no flock; users must not separate one song twice at the same time there
        return None
    handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(handle)
        raise StorageError(
            f"Another run is working in {path.parent} right now; wait for it, or choose another --out."
        ) from None
    except OSError:  # a file system without locks, as some network file systems
        os.close(handle)
        return None
    return handle
