"""A partial weight file: its bytes so far, their running digest, and the version on the server that they are of."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from stemwright.models.weight_file import WeightFile

_PIECE_BYTES = 1 << 20


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
        self._is_of_one_version = False

    def __enter__(self) -> Self:
        self._content = self._path.open("a+b")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._content.close()

    @property
    def sha256(self) -> str:
        """Digest of what was written so far."""
        return self._digest.hexdigest()

    @property
    def matches_digest(self) -> bool:
        """Whether the digest is that of the complete file."""
        return self.sha256 == self._file.sha256

    @property
    def may_be_mixed(self) -> bool:
        """Whether its bytes may be of different versions or damaged, so that a wrong digest says nothing of the server.

        They are not where this process received all of them, each request for the same version by its ETag or date.
        """
        return not self._is_of_one_version

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
        with suppress(OSError, ValueError, TypeError):  # without it only the digest shows whether the halves match
            self.version = Version(**json.loads(self._version_path.read_text(encoding="utf-8")))

    def begin(self, version: Version | None) -> None:
        """Drops the content and starts again with that version."""
        self._content.truncate(0)
        self._digest = hashlib.sha256()
        self.size_bytes = 0
        self._is_of_one_version = True
        self.version = version
        if version is None:
            self._version_path.unlink(missing_ok=True)
        else:
            self._version_path.write_text(json.dumps(asdict(version)), encoding="utf-8")

    def append(self, start_byte: int, version: Version) -> None:
        """Prepares for bytes from an offset; if it is not the end of the partial file, starts again."""
        if start_byte == 0:
            self.begin(version)
        elif not version.condition or version != self.version:
            self._is_of_one_version = False

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
