"""Which files are taken for sound when a folder is named instead of a file."""

from __future__ import annotations

from pathlib import Path

SUFFIXES = frozenset(
    (
        ".mp3",
        ".m4a",
        ".m4b",
        ".aac",
        ".flac",
        ".wav",
        ".wave",
        ".w64",
        ".aif",
        ".aiff",
        ".aifc",
        ".ogg",
        ".oga",
        ".opus",
        ".wma",
        ".webm",
        ".weba",
        ".mp4",
        ".m4v",
        ".mov",
        ".mka",
        ".mkv",
        ".caf",
        ".ac3",
        ".au",
    )
)
"""File name endings of sound, and of films with an audio track, in lower case."""


def is_sound_file(path: Path) -> bool:
    """Whether a file looks like sound by its name; hidden files never do."""
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".")
