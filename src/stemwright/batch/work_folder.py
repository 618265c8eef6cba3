"""The working files of one process: of the song that it works on, or that was interrupted there."""

from __future__ import annotations

import itertools
import os
import shutil
import socket
from pathlib import Path

from stemwright.errors import storage_error

CURRENT = "song"
"""File with the path of the song."""


class WorkFolder:
    """A folder ``<host>-<number>`` that no other process uses; a process that starts takes the first one that is free.

    So it finds what one before it left: that song goes on from its last whole chunk.

    Raises:
        StorageError: no folder can be made.
    """

    def __init__(self, root: Path) -> None:
        import fcntl

        host = socket.gethostname()
        try:
            for number in itertools.count():
                self.path = root / f"{host}-{number}"
                self.path.mkdir(parents=True, exist_ok=True)
                self._lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT, 0o644)
                try:
                    fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    os.close(self._lock)
        except OSError as error:
            raise storage_error(error, root) from error

    @property
    def interrupted(self) -> str | None:
        """The path of the song whose working files are here."""
        try:
            return (self.path / CURRENT).read_text(encoding="utf-8")
        except (OSError, ValueError):
            return None

    def begin(self, song: str) -> Path:
        """The folder for a song, with what an interrupted run of it left; what other songs left is deleted.

        Raises:
            StorageError: it cannot be made.
        """
        folder = self.path / "files"
        try:
            if self.interrupted != song:
                self.clear()
                folder.mkdir()
                (self.path / CURRENT).write_text(song, encoding="utf-8")
        except OSError as error:
            raise storage_error(error, self.path) from error
        return folder

    def clear(self) -> None:
        """Deletes the working files: the song is done."""
        (self.path / CURRENT).unlink(missing_ok=True)
        shutil.rmtree(self.path / "files", ignore_errors=True)

    def close(self) -> None:
        """Lets another process have it."""
        os.close(self._lock)
