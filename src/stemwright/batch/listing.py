"""Songs as a listing finds them, one after the other, however many there are."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import PurePosixPath
from typing import TypeVar

from stemwright.errors import UnreadableInputError
from stemwright.sound_files import SUFFIXES

MAX_PATH_BYTES = 1000
MAX_NAME_BYTES = 240
"""The stems are in a folder of the song's own name."""

_NOT_UNICODE = "Its name is not valid Unicode, so no database can hold it: rename it."
_LONG_PATH = f"Its path has more than {MAX_PATH_BYTES} bytes: shorten it."
_LONG_NAME = f"Its name has more than {MAX_NAME_BYTES} bytes: shorten it."

Item = TypeVar("Item")


@dataclass(frozen=True)
class ListedSong:
    """A song of the source.

    Attributes:
        path: within the source, with ``/``.
        version: changes with the content: size and time, or an ETag.
        error: why it cannot be separated; empty if nothing speaks against it.
    """

    path: str
    version: str
    error: str = ""

    @property
    def exit_code(self) -> int:
        """Of its error."""
        return UnreadableInputError.exit_code if self.error else 0


def listed_song(path: str, version: str) -> ListedSong | None:
    """A song of a path; None if the name is none of a sound file, or hidden."""
    parts = PurePosixPath(path).parts
    if not parts or PurePosixPath(path).suffix.lower() not in SUFFIXES or any(part.startswith(".") for part in parts):
        return None
    try:
        raw = path.encode()
    except UnicodeEncodeError:
        shown = path.encode("utf-8", "backslashreplace").decode()
        return ListedSong(_shortened(shown, shown.encode()), version, _NOT_UNICODE)
    if len(raw) > MAX_PATH_BYTES:
        return ListedSong(_shortened(path, raw), version, _LONG_PATH)
    return ListedSong(path, version, _LONG_NAME if len(parts[-1].encode()) > MAX_NAME_BYTES else "")


def chunks(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The same items in lists of at most ``size``."""
    iterator = iter(items)
    while chunk := list(islice(iterator, size)):
        yield chunk


def _shortened(path: str, raw: bytes) -> str:
    """The path as the database can hold it, and no other path's."""
    if len(raw) <= MAX_PATH_BYTES:
        return path
    kept = raw[: MAX_PATH_BYTES - 20].decode(errors="ignore")
    return f"{kept}…{hashlib.sha256(raw).hexdigest()[:12]}"
