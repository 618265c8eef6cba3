"""Digests that the user accepted in place of those of the registry, for files that their authors have replaced."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from stemwright.errors import storage_error
from stemwright.models.weight_file import WeightFile
from stemwright.models.weight_store import weights_folder


def applied(file: WeightFile) -> WeightFile:
    """The file with the digest and size that the user accepted for it, or as it is.

    An acceptance holds for one digest of the registry. A later release with another digest makes it void.
    """
    with suppress(OSError, ValueError, KeyError, TypeError):  # without a record the registry counts
        record = json.loads(_path(file).read_text(encoding="utf-8"))
        if record["registry_sha256"] == file.sha256:
            size_bytes, sha256 = int(record["size_bytes"]), str(record["sha256"])
            return replace(file, size_bytes=size_bytes, sha256=sha256, registry_sha256=file.sha256)
    return file


def accept(file: WeightFile, sha256: str, size_bytes: int) -> WeightFile:
    """Records a digest for a file of the registry, and gives the file with it.

    Raises:
        StorageError: the weights folder cannot be written.
    """
    path = _path(file)
    part = path.with_suffix(".part")
    registry_sha256 = file.registry_sha256 or file.sha256
    record = {"registry_sha256": registry_sha256, "sha256": sha256, "size_bytes": size_bytes}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(record), encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise storage_error(error, path) from error
    return replace(file, size_bytes=size_bytes, sha256=sha256, registry_sha256=registry_sha256)


def forget(file: WeightFile) -> None:
    """Removes the record of a file, if there is one.

    Raises:
        StorageError: it cannot be removed.
    """
    path = _path(file)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(error, path) from error


def _path(file: WeightFile) -> Path:
    return weights_folder() / "accepted" / f"{file.name}.json"
