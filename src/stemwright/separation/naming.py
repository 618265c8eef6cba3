"""Names of the output folders of songs."""

from __future__ import annotations

import os
import unicodedata

from stemwright.errors import UsageError

MAX_TITLE_BYTES = 200
"""Most file systems allow 255 bytes per name; the rest is reserved for a number and the working folder's affixes."""

MAX_CHOSEN_NAME_BYTES = 240
"""Limit for a name with its number: the name of the hidden working folder is 13 bytes longer."""


def song_folder_name(title: str) -> str:
    """A folder name for a song: control characters and separators become ``_``, it is never empty, ``.`` or ``..``.

    Trailing dots and spaces are removed, because Windows drops them; a long name is cut between characters.
    """
    cleaned = "".join("_" if unicodedata.category(char) in {"Cc", "Cs"} or char in "/\\" else char for char in title)
    while len(cleaned.encode()) > MAX_TITLE_BYTES:
        cleaned = cleaned[:-1]
    cleaned = cleaned.strip(" ").rstrip(". ")
    return cleaned or "song"


def checked_folder_name(name: object) -> str:
    """Validates a folder name given by the caller, and returns it unchanged.

    Raises:
        UsageError: it is not a valid name of a single folder.
    """
    if not isinstance(name, str) or name.strip() in ("", ".", "..") or any(char in "/\\\0" for char in name):
        raise UsageError(
            "name must be the name of one folder under out: give text without / and \\, other than . and .."
        )
    if len(os.fsencode(name)) > MAX_CHOSEN_NAME_BYTES:
        raise UsageError(f"name is longer than {MAX_CHOSEN_NAME_BYTES} bytes: give a shorter one.")
    return str(name)
