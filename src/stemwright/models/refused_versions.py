"""Versions of a weight file that a server sent whole and that had a wrong digest: they are not fetched again."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from stemwright.models.part_file import Version
from stemwright.models.weight_file import WeightFile


class RefusedVersions:
    """The refused versions of one file, recorded beside it. The caller holds the file's lock.

    A version is recognised by its URL with ETag or Last-Modified. A server that states neither is asked again.
    """

    def __init__(self, file: WeightFile, folder: Path) -> None:
        self._path = file.refused_in(folder)
        self._expected = file.sha256

    def digest_of(self, version: Version) -> str:
        """Digest that the version was found to have; empty if it was not refused."""
        return self._read().get(_key(version), "") if version.condition else ""

    def add(self, version: Version, sha256: str) -> None:
        """Records a version and the digest that it has."""
        if version.condition:
            content = {"expected": self._expected, "found": {**self._read(), _key(version): sha256}}
            self._path.write_text(json.dumps(content), encoding="utf-8")

    def forget(self) -> None:
        """Removes the record."""
        self._path.unlink(missing_ok=True)

    def _read(self) -> dict[str, str]:
        with suppress(OSError, ValueError, KeyError, TypeError):  # without a record it is fetched once more
            content = json.loads(self._path.read_text(encoding="utf-8"))
            if content["expected"] == self._expected:  # not of a release with another digest
                return {str(key): str(sha256) for key, sha256 in content["found"].items()}
        return {}


def _key(version: Version) -> str:
    return json.dumps(asdict(version), sort_keys=True)
