"""The folder of a task among the working files, locked by one worker at a time."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from stemwright.jobs.handler import TaskContext, TaskInterrupted


@contextmanager
def locked_task_folder(folder: Path, context: TaskContext) -> Iterator[Path]:
    """Locks the folder of a task. A worker that lost its lease needs a moment to leave the folder.

    Raises:
        TaskInterrupted: the worker is shutting down.
    """
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if context.should_stop():
                    raise TaskInterrupted from None
                time.sleep(0.05)
        yield folder
    finally:
        os.close(lock)


def link_song(folder: Path, path: Path) -> Path:
    """Links the song under a neutral name: tags must not show a digest or another account's file name."""
    song = folder / "song"
    song.unlink(missing_ok=True)
    song.symlink_to(path.resolve())
    return song
