"""Where the weights of a model lie, and whether they are what the registry says."""

from __future__ import annotations

import hashlib
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from stemwright.errors import ModelUnavailableError, StorageError, storage_error
from stemwright.models.weight_file import OnBytes, WeightFile

if TYPE_CHECKING:
    from stemwright.models.registry import Model

WHEEL_FOLDER = Path(__file__).parent / "weights"
"""The weights that ship in the wheel."""


def weights_folder() -> Path:
    """Where downloaded weights lie: ``STEMWRIGHT_MODELS_DIR``, or a folder among the user's data. It need not exist.

    Not the cache, which may be emptied at any time: these are gigabytes from the net.
    """
    named = os.environ.get("STEMWRIGHT_MODELS_DIR")
    if named:
        return Path(named).expanduser()
    from platformdirs import user_data_path

    return user_data_path("stemwright", appauthor=False) / "models"


def find(file: WeightFile) -> Path | None:
    """Where a file lies, by its size: in the wheel, or else in the weights folder; None if in neither."""
    path = _path(file)
    return path if _size(path) == file.size_bytes else None


def is_available(weights: WeightFile | Model) -> bool:
    """Whether a file, or every file of a model, is there, by its size."""
    return all(find(file) is not None for file in _files(weights))


def verify(file: WeightFile, on_bytes: OnBytes | None = None, *, reread: bool = False) -> None:
    """Makes sure that a file is there and is that of the registry. Gigabytes are read only when they changed.

    Args:
        file: which one.
        on_bytes: is told how much was read; what it raises passes through.
        reread: read it all, whatever was found before.

    Raises:
        ModelUnavailableError: it is missing or damaged, or cannot be read.
    """
    path = _path(file)
    try:
        in_wheel = path.parent == WHEEL_FOLDER  # no marks are left among the files of the installation
        whole = file.matches(path, on_bytes) if in_wheel or reread else file.is_whole_in(path.parent, on_bytes)
    except OSError as error:
        raise _unavailable(file, path, error) from error
    if not whole:
        with suppress(OSError):
            file.mark_in(path.parent).unlink(missing_ok=True)
        raise _unavailable(file, path)


def load(weights: WeightFile | Model) -> bytes:
    """The content of a file, or of the one file of a model, verified.

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
    """Removes a downloaded file, whole or in part, and gives whether there was one. The wheel's files stay.

    Raises:
        StorageError: it is being downloaded right now, or may not be removed.
    """
    folder = weights_folder()
    paths = (file.path_in(folder), file.part_in(folder), file.version_in(folder), file.mark_in(folder))
    if not any(path.is_file() or path.is_symlink() for path in paths):  # a link may point to nothing any more
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
    """Where a file of the right size lies, or else one of the name, or else where it should lie."""
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
