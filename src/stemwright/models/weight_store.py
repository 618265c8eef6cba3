"""Locates and verifies the weight files of models."""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from stemwright.errors import ModelUnavailableError, StorageError, storage_error
from stemwright.models.weight_file import OnBytes, WeightFile

if TYPE_CHECKING:
    from stemwright.models.registry import Model

WHEEL_FOLDER = Path(__file__).parent / "weights"
"""The weights that ship in the wheel."""


def weights_folder() -> Path:
    """Folder of downloaded weights: ``STEMWRIGHT_MODELS_DIR``, or in the user's data folder. It need not exist.

    Not in the cache folder, which may be emptied at any time: weights are gigabytes of downloads.
    """
    named = os.environ.get("STEMWRIGHT_MODELS_DIR")
    if named:
        return Path(named).expanduser()
    return _default_folder(os.environ.get("XDG_DATA_HOME"), os.environ.get("HOME"))


@cache
def _default_folder(*_variables: str | None) -> Path:
    """The folder among the user's data, which follows from these variables; a server asks for it hundreds of times."""
    from platformdirs import user_data_path

    return user_data_path("stemwright", appauthor=False) / "models"


def find(file: WeightFile) -> Path | None:
    """Path of a file with the right size: in the wheel or else in the weights folder; None if in neither."""
    path = _path(file)
    return path if _size(path) == file.size_bytes else None


def is_available(weights: WeightFile | Model) -> bool:
    """Whether a file, or every file of a model, exists with the right size."""
    return all(find(file) is not None for file in _files(weights))


def verify(file: WeightFile, on_bytes: OnBytes | None = None, *, reread: bool = False) -> None:
    """Checks that a file exists and has the digest of the registry. It is only read if it changed.

    Args:
        file: the file.
        on_bytes: called with the number of bytes read; its exceptions propagate.
        reread: read the file even if it was verified before.

    Raises:
        ModelUnavailableError: it is missing or damaged, or cannot be read.
    """
    path = _path(file)
    try:
        in_wheel = path.parent == WHEEL_FOLDER  # no records are written into the installation
        whole = file.matches(path, on_bytes) if in_wheel or reread else file.is_whole_in(path.parent, on_bytes)
    except OSError as error:
        raise _unavailable(file, path, error) from error
    if not whole:
        with suppress(OSError):
            file.mark_in(path.parent).unlink(missing_ok=True)
        raise _unavailable(file, path)


def load(weights: WeightFile | Model) -> bytes:
    """The verified content of a file, or of the only file of a model.

    Raises:
        ModelUnavailableError: it is missing or damaged, or cannot be read.
    """
    (file,) = _files(weights)
    path = _path(file)
    try:
        content = path.read_bytes()
    except OSError as error:
        raise _unavailable(file, path, error) from error
    if hashlib.sha256(content).hexdigest() != file.sha256:
        raise _unavailable(file, path)
    return content


def remove(file: WeightFile) -> bool:
    """Removes a downloaded file, complete or partial; returns whether there was one. Files in the wheel stay.

    Raises:
        StorageError: it is being downloaded, or cannot be removed.
    """
    folder = weights_folder()
    records = (file.version_in(folder), file.mark_in(folder), file.refused_in(folder))
    paths = (file.path_in(folder), file.part_in(folder), *records)
    if not any(path.is_file() or path.is_symlink() for path in paths):  # a link may be broken
        return False

    def refuse() -> None:
        raise StorageError(f"{file.name} is being downloaded right now; cancel that first, then remove it.")

    try:
        with file.locked(folder, refuse):
            for path in paths:
                path.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(error, folder) from error
    return True


def _files(weights: WeightFile | Model) -> tuple[WeightFile, ...]:
    return (weights,) if isinstance(weights, WeightFile) else weights.files


def _path(file: WeightFile) -> Path:
    """Path of the file with the right size, or else of one with that name, or else where it should be."""
    wheel, downloaded = file.path_in(WHEEL_FOLDER), file.path_in(weights_folder())
    for path in (wheel, downloaded):
        if _size(path) == file.size_bytes:
            return path
    home = downloaded if file.url else wheel
    return next((path for path in (wheel, downloaded) if _size(path) is not None), home)


def _size(path: Path) -> int | None:
    try:
        facts = path.stat()
    except OSError:
        return None
    return facts.st_size if stat.S_ISREG(facts.st_mode) else None


def _unavailable(file: WeightFile, path: Path, error: OSError | None = None) -> ModelUnavailableError:
    if _size(path) is None:
        state = "missing"
    elif error is not None:
        state = f"not readable ({error.strerror or error})"
    else:
        state = "damaged"
    if file.url:
        remedy = f"run `stemwright models download`, or download them by hand from {file.url}"
    else:
        remedy = "install Stemwright again, or add the model again if you added it"
    return ModelUnavailableError(f"The weights {path} are {state}; {remedy}.")
