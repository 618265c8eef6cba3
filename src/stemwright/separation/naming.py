"""Names of the folders that songs get."""

from __future__ import annotations

import os
import unicodedata

from stemwright.errors import UsageError

MAX_BYTES = 200
"""Most file systems take 255 bytes a name; the rest is left for what is put around it."""

LONGEST_BYTES = 240
"""Of a name with a number behind it: the hidden folder of its working files has 13 bytes more."""


def song_folder_name(title: str) -> str:
    """A folder name for a song: control characters and separators become ``_``, it is never empty, ``.`` or ``..``.

    Trailing dots and spaces go, because Windows drops them; an over-long name is cut between characters.
    """
    cleaned = "".join("_" if unicodedata.category(char) in {"Cc", "Cs"} or char in "/\\" else char for char in title)
    while len(cleaned.encode()) > MAX_BYTES:
        cleaned = cleaned[:-1]
    cleaned = cleaned.strip(" ").rstrip(". ")
    return cleaned or "song"


def checked_folder_name(name: object) -> str:
    """A folder name that a caller chose, as it is.

    Raises:
        UsageError: it is not the name of one folder.
    """
    if not isinstance(name, str) or name.strip() in ("", ".", "..") or any(char in "/\\\0" for char in name):
        raise UsageError("name is the name of one folder under out: give text without / and \\, other than . and ..")
    if len(os.fsencode(name)) > LONGEST_BYTES:
        raise UsageError(f"name is longer than {LONGEST_BYTES} bytes: give a shorter one.")
    return str(name)
