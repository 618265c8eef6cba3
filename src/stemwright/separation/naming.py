"""Names of the folders that songs get."""

from __future__ import annotations

import unicodedata

MAX_BYTES = 200
"""Most file systems take 255 bytes a name; the rest is left for what is put around it."""


def song_folder_name(title: str) -> str:
    """A folder name for a song: control characters and separators become ``_``, it is never empty, ``.`` or ``..``.

    Trailing dots and spaces go, because Windows drops them; an over-long name is cut between characters.
    """
    cleaned = "".join("_" if unicodedata.category(char) in {"Cc", "Cs"} or char in "/\\" else char for char in title)
    while len(cleaned.encode()) > MAX_BYTES:
        cleaned = cleaned[:-1]
    cleaned = cleaned.strip(" ").rstrip(". ")
    return cleaned or "song"
