"""The line of a song in the manifest."""

from __future__ import annotations

import hashlib
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from stemwright.errors import storage_error
from stemwright.separation.result import Result


def song_facts(path: str, song: Path, result: Result) -> dict[str, Any]:
    """The facts of a song whose stems are written; the stems are on the disk afterwards.

    Args:
        path: within the source.
        song: the file.
        result: of its separation; the stems are where it says.

    Raises:
        StorageError: the stems do not reach the disk.
    """
    facts = asdict(result)
    return {
        "path": path,
        "sha256": _digest(song),
        "bytes": song.stat().st_size,
        **{name: facts[name] for name in ("seconds", "sample_rate", "channels", "samples", "plan", "models")},
        **{name: facts[name] for name in ("residual_db", "gain_db", "elapsed_s", "notes")},
        "stems": [
            {
                **asdict(stem),
                "path": f"{path}/{stem.path.name}",
                "sha256": _digest(stem.path, is_new=True),
                "bytes": stem.path.stat().st_size,
            }
            for stem in result.stems
        ],
    }


def _digest(path: Path, *, is_new: bool = False) -> str:
    with path.open("rb") as file:
        if is_new:  # the database will say that the song is done: that must hold after a loss of power
            try:
                os.fsync(file.fileno())
            except OSError as error:
                raise storage_error(error, path) from error
        return hashlib.file_digest(file, "sha256").hexdigest()
