"""The folder for what may be deleted at any time: ``STEMWRIGHT_CACHE_DIR``, or the platform's own cache folder."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from stemwright.errors import StorageError


def cache_folder() -> Path:
    """Where the cache lies. The folder need not exist."""
    named = os.environ.get("STEMWRIGHT_CACHE_DIR")
    if named:
        return Path(named).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("stemwright", appauthor=False)


def writable_cache_folder() -> Path:
    """The same, made if it is missing, and proven to take a file.

    Raises:
        StorageError: it does not.
    """
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError as error:
        raise StorageError(
            f"The cache folder '{folder}' cannot be written ({error.strerror or error}); "
            "set STEMWRIGHT_CACHE_DIR to a folder that you can write to."
        ) from error
