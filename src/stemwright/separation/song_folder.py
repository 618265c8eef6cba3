"""The output folder of a song, and the record of its content.

``OUT/<song>/`` has the stems and a hidden JSON record of the input, models and options that made them. During the
separation all files are in ``OUT/.<song>.stemwright/``; the stems are moved once all are complete.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stemwright.errors import StorageError, storage_error
from stemwright.separation.result import Result

RECORD = ".stemwright.json"

PEAKS_SUFFIX = ".peaks"
MIX_PEAKS = "mix.peaks"
"""Names of the peaks files of a stem and of the song (``stemwright.audio.peaks``)."""

OutputKey = dict[str, Any]
"""Input, models and options as JSON. Equal keys give equal stems."""


class SongFolder:
    """``OUT/<name>/``, which need not exist yet."""

    def __init__(self, out: Path, name: str) -> None:
        self.path = out / name
        self.working = out / f".{name}.stemwright"

    def check_writable(self) -> None:
        """Checks before the separation that the stems can be moved into the folder.

        Raises:
            StorageError: the path is a file, or not writable.
        """
        if self.path.exists() and not self.path.is_dir():
            raise StorageError(
                f"{self.path} is a file, so no folder of stems can take its place; choose another --out."
            )
        if self.path.exists() and not os.access(self.path, os.W_OK | os.X_OK):
            raise StorageError(
                f"{self.path} cannot be written (permission denied); choose another --out, or change its permissions."
            )

    def existing_result(self, output_key: OutputKey) -> Result | None:
        """The result of an earlier run with the same key, if every stem still exists with its size; otherwise None."""
        try:
            record = json.loads((self.path / RECORD).read_text())
            if record["order"] != output_key:
                return None
            for name, size in record["bytes"].items():
                if (self.path / name).stat().st_size != size:
                    return None
            result = Result.from_dict(record["result"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        stems = tuple(replace(stem, path=self.path / stem.path.name) for stem in result.stems)
        return replace(result, output_dir=self.path, stems=stems, skipped=True)

    def publish(self, files: Sequence[Path], result: Result, output_key: OutputKey) -> None:
        """Moves complete files to their final names and writes the record last.

        Raises:
            StorageError: the folder cannot be written.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            record = self.path / RECORD
            record.unlink(missing_ok=True)
            sizes = {}
            for file in files:
                sizes[file.name] = file.stat().st_size
                file.replace(self.path / file.name)
            content = {"order": output_key, "bytes": sizes, "result": result.to_dict()}
            temporary = self.working / "record.json"
            temporary.write_text(json.dumps(content, indent=1))
            temporary.replace(record)
        except OSError as error:
            raise storage_error(error, self.path) from error
