"""The folder that a song's stems land in, and the record of what is in it.

``OUT/<song>/`` holds the stems and a hidden record of what they are: of which input, by which models, with which options.
While a song is in the making everything lies in ``OUT/.<song>.stemwright/``; the stems move over last, when all are whole.
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

Order = dict[str, Any]
"""What was asked for, as JSON. Equal orders give equal stems."""


class SongFolder:
    """``OUT/<name>/``, which need not exist yet."""

    def __init__(self, out: Path, name: str) -> None:
        self.path = out / name
        self.working = out / f".{name}.stemwright"

    def check_writable(self) -> None:
        """Finds out before the work, not after it, that the stems could not move in.

        Raises:
            StorageError: the folder is a file, or may not be written.
        """
        if self.path.exists() and not self.path.is_dir():
            raise StorageError(
                f"{self.path} is a file, so no folder of stems can take its place; choose another --out."
            )
        if self.path.exists() and not os.access(self.path, os.W_OK | os.X_OK):
            raise StorageError(f"{self.path} may not be written; choose another --out, or change its permissions.")

    def kept(self, order: Order) -> Result | None:
        """The result that lies here already, if the order was the same and every stem is there as it was written."""
        try:
            record = json.loads((self.path / RECORD).read_text())
            if record["order"] != order:
                return None
            for name, size in record["bytes"].items():
                if (self.path / name).stat().st_size != size:
                    return None
            result = Result.from_dict(record["result"])
        except (OSError, ValueError, KeyError, TypeError):
            return None
        stems = tuple(replace(stem, path=self.path / stem.path.name) for stem in result.stems)
        return replace(result, output_dir=self.path, stems=stems, skipped=True)

    def publish(self, files: Sequence[Path], result: Result, order: Order) -> None:
        """Moves whole files to their final names and writes the record last.

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
            content = {"order": order, "bytes": sizes, "result": result.to_dict()}
            temporary = self.working / "record.json"
            temporary.write_text(json.dumps(content, indent=1))
            temporary.replace(record)
        except OSError as error:
            raise storage_error(error, self.path) from error
