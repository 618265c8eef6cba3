"""Reads Demucs checkpoints: the network's class, its constructor arguments, and its weights in half precision.

Such a file mentions code: the network's class, fractions, and NumPy scalars in its training history. None is run.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

from stemwright.errors import ModelUnavailableError
from stemwright.models.torch_file import ForeignCodeError, Named, StoredTensor, read_torch_file

_RATIO = re.compile(r"(\d{1,9})/(\d{1,9})")


class DemucsPackage(NamedTuple):
    """The content of a Demucs checkpoint.

    Attributes:
        state: weights by name.
        kwargs: constructor arguments of the network: numbers, strings, lists and None; ``segment`` is usually a
            ``Fraction``.
    """

    state: dict[str, StoredTensor]
    kwargs: dict[str, Any]


HTDEMUCS = "demucs.htdemucs.HTDemucs"

CLASSES = frozenset(
    {HTDEMUCS, "fractions.Fraction", "numpy.dtype", "_codecs.encode"}
    | {"numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"}  # the latter of NumPy 2
)
"""All names in published checkpoints besides those of tensors."""


def read_package(path: Path) -> DemucsPackage:
    """Reads a checkpoint of HTDemucs, without the ``demucs`` package and without running code.

    Raises:
        ModelUnavailableError: the file cannot be read, is damaged, contains other code or another network, or its
            weights are quantized (DiffQ).
    """
    try:
        package = read_torch_file(path, CLASSES)
    except ForeignCodeError as error:
        raise ModelUnavailableError(
            f"{path} refers to code that HTDemucs does not need ({error}), which was not run; "
            "give a checkpoint of htdemucs."
        ) from error
    if not is_package(package):
        raise ModelUnavailableError(f"{path} is not a checkpoint in Demucs' format; give one of htdemucs.")
    assert isinstance(package, dict)
    klass = package["klass"]
    if not isinstance(klass, Named) or klass.name != HTDEMUCS:
        raise ModelUnavailableError(f"{path} is not a checkpoint of HTDemucs; give a checkpoint of htdemucs.")
    state, kwargs = package["state"], package["kwargs"]
    if not isinstance(state, dict) or not state or not all(_is_plain_weight(weight) for weight in state.values()):
        raise ModelUnavailableError(f"{path} contains no plain weights; give a checkpoint that is not quantized.")
    try:
        if package["args"] or not isinstance(kwargs, dict):
            raise ValueError("settings without a name")
        settings = {str(name): _as_data(value) for name, value in kwargs.items()}
    except (ValueError, ZeroDivisionError) as error:
        raise ModelUnavailableError(
            f"The settings in {path} are not plain ones ({error}); give the checkpoint as it was published."
        ) from error
    return DemucsPackage({str(name): weight for name, weight in state.items()}, settings)


def is_package(content: object) -> bool:
    """Whether the content of a file of ``torch.save`` is in Demucs' format."""
    return isinstance(content, Mapping) and {"klass", "args", "kwargs", "state"} <= content.keys()


def _is_plain_weight(weight: object) -> bool:
    return isinstance(weight, StoredTensor) and weight.is_floating_point


def _as_data(value: object) -> object:
    """A setting as plain data.

    Raises:
        ValueError: it has another type.
        ZeroDivisionError: it is a fraction with denominator zero.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list | tuple):
        return [_as_data(item) for item in value]
    if isinstance(value, Named) and value.name == "fractions.Fraction":
        match value.parts:
            case (int(numerator), int(denominator)):
                return Fraction(numerator, denominator)
            case (str(text),) if ratio := _RATIO.fullmatch(text):  # other texts could take Python for ever
                return Fraction(int(ratio[1]), int(ratio[2]))
    raise ValueError(f"a {type(value).__name__} among them")
