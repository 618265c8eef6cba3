"""Where the weights of a model lie, and whether they are what the registry says."""

from __future__ import annotations

import hashlib
from pathlib import Path

from stemwright.errors import ModelUnavailableError
from stemwright.models.registry import Model

WHEEL_FOLDER = Path(__file__).parent / "weights"
"""The weights that ship in the wheel."""


def is_available(model: Model) -> bool:
    """Whether the model's file is there, by its size."""
    path = WHEEL_FOLDER / model.file
    return path.is_file() and path.stat().st_size == model.size_bytes


def load(model: Model) -> bytes:
    """The model's file, verified.

    Raises:
        ModelUnavailableError: it is missing, or is not the file of the registry.
    """
    path = WHEEL_FOLDER / model.file
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelUnavailableError(
            f"The weights of {model.name} are missing ({path}); install Stemwright again."
        ) from error
    if hashlib.sha256(content).hexdigest() != model.sha256:
        raise ModelUnavailableError(f"The weights of {model.name} are damaged ({path}); install Stemwright again.")
    return content
