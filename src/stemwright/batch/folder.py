"""Songs and stems in folders."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from stemwright import arguments
from stemwright.batch.listing import ListedSong, listed_song
from stemwright.batch.places import RECORDS_FOLDER
from stemwright.errors import UnreadableInputError, storage_error


class FolderSource:
    """A folder of songs, with its subfolders. Hidden files and folders are left out."""

    def __init__(self, folder: str) -> None:
        self._root = arguments.path(folder, "SRC").resolve()
        self.name = str(self._root)

    def songs(self) -> Iterator[ListedSong]:
        """See ``Source``. Files of one folder come as the file system has them: they are not collected first."""
        waiting = [""]
        while waiting:
            below = waiting.pop()
            try:
                with os.scandir(self._root / below) as entries:
                    for entry in entries:
                        path = f"{below}/{entry.name}" if below else entry.name
                        if entry.is_dir(follow_symlinks=False):
                            if not entry.name.startswith("."):
                                waiting.append(path)
                        elif (song := listed_song(path, _version(entry))) is not None:
                            yield song
            except OSError as error:
                raise UnreadableInputError(
                    f"The folder '{self._root / below}' cannot be listed ({error.strerror}): correct its name, or its "
                    "permissions."
                ) from error

    def fetch(self, path: str, folder: Path) -> Path:
        """See ``Source``."""
        song = self._root / path
        if not song.is_file():
            raise UnreadableInputError(f"{path} is no longer in {self.name}: put it back, or ignore this.")
        return song


class FolderTarget:
    """A folder of stems."""

    def __init__(self, folder: str) -> None:
        self._root = arguments.path(folder, "DST").resolve()
        self.name = str(self._root)

    def check(self) -> None:
        """See ``Target``."""
        records = self._root / RECORDS_FOLDER
        probe = records / f"check-{uuid.uuid4().hex}"
        try:
            records.mkdir(parents=True, exist_ok=True)
            probe.touch()
            probe.unlink()
        except OSError as error:
            raise storage_error(error, self._root) from error

    def work_root(self, batch_id: str) -> Path:
        """See ``Target``. On the disk of the stems, which get their names by a rename."""
        return self._root / RECORDS_FOLDER / "work"

    def stage(self, stems: Path, path: str) -> StagedFolder:
        """See ``Target``."""
        return StagedFolder(stems, self._root / path)

    def write_lines(self, name: str, lines: Iterable[str]) -> None:
        """See ``Target``."""
        temporary = self._root / RECORDS_FOLDER / f"{name}.{uuid.uuid4().hex}"
        try:
            with temporary.open("w", encoding="utf-8") as file:
                file.writelines(f"{line}\n" for line in lines)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(self._root / name)
        except OSError as error:
            raise storage_error(error, self._root / name) from error
        finally:
            temporary.unlink(missing_ok=True)


class StagedFolder:
    """A folder of stems that gets its final name by a rename. See ``Staged``."""

    def __init__(self, stems: Path, final: Path) -> None:
        self._stems = stems
        self._final = final
        self._is_published = False

    def publish(self) -> None:
        """Replaces a folder of an earlier run, or of a process that died before it could end its song."""
        if self._is_published:
            return
        replaced = self._stems.with_name(f"{self._stems.name}.replaced")
        try:
            self._final.parent.mkdir(parents=True, exist_ok=True)
            if self._final.exists():
                shutil.rmtree(replaced, ignore_errors=True)
                self._final.rename(replaced)
            self._stems.rename(self._final)
        except OSError as error:
            raise storage_error(error, self._final) from error
        self._is_published = True
        shutil.rmtree(replaced, ignore_errors=True)

    def discard(self) -> None:
        """Leaves them to whoever empties the working files."""


def _version(entry: os.DirEntry[str]) -> str:
    try:
        facts = entry.stat()
    except OSError:  # a link to nothing: it fails when it is its turn
        return "missing"
    return f"{facts.st_size}-{facts.st_mtime_ns}"
