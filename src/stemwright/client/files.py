"""Downloads: a file gets its name when it is complete."""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from stemwright.client.records import Separation, Stem
from stemwright.errors import storage_error


class Download:
    """A partial file, as a context manager. Without ``keep`` it is deleted."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._part = path.with_name(f".{path.name}.part")
        self._file: BinaryIO | None = None

    def __enter__(self) -> Download:
        """Opens it; its folder is made if it is missing.

        Raises:
            StorageError: disk full, or no permission.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._part.open("wb")
        except OSError as error:
            raise storage_error(error, self.path) from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None
            self._part.unlink(missing_ok=True)

    def write(self, piece: bytes) -> None:
        """Adds bytes; raises StorageError."""
        assert self._file is not None, "a download is written inside its context"
        try:
            self._file.write(piece)
        except OSError as error:
            raise storage_error(error, self.path) from error

    def keep(self) -> Path:
        """Gives the whole file its name; raises StorageError."""
        assert self._file is not None, "a download is kept inside its context"
        try:
            self._file.close()
            self._part.replace(self.path)
        except OSError as error:
            raise storage_error(error, self.path) from error
        self._file = None
        return self.path


def stem_paths(separation: Separation, folder: Path) -> list[tuple[Stem, Path]]:
    """Where each stem goes: ``folder/<name>.<format>``."""
    # A name from the network is never more than one part of a path.
    return [(stem, folder / Path(f"{stem.name}.{stem.format}").name) for stem in separation.stems]
