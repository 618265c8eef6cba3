"""Reads Demucs checkpoints: the network's class, its constructor arguments, and its weights in half precision.

Such a file references code: the network's class, fractions, and NumPy scalars in its training history. It is read with
torch's weights-only loader, which calls only allowed classes: the placeholders of this module, which do nothing.
"""

from __future__ import annotations

import pickle
import re
import warnings
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from stemwright.errors import ModelUnavailableError

_GLOBAL_NAME = re.compile(r"GLOBAL ([\w.]+)")
_RATIO = re.compile(r"(\d{1,9})/(\d{1,9})")


class DemucsPackage(NamedTuple):
    """The content of a Demucs checkpoint.

    Attributes:
        state: weights by name, float32.
        kwargs: constructor arguments of the network: numbers, strings, lists and None; ``segment`` is usually a
            ``Fraction``.
    """

    state: dict[str, Tensor]
    kwargs: dict[str, Any]


class HTDemucs:
    """Placeholder for the class of the network."""


class FractionPlaceholder:
    """Placeholder for ``fractions.Fraction``, created from text such as ``39/5`` or from two integers."""

    def __init__(self, *parts: object) -> None:
        self.parts = parts


class IgnoredNumpyValue:
    """Placeholder for NumPy scalars and dtypes, which are neither weights nor settings."""

    def __init__(self, *parts: object) -> None:
        """Ignores the arguments of the real class."""

    def __setstate__(self, state: object) -> None:
        """Ignores the state."""


PLACEHOLDERS: list[Any] = [
    (HTDemucs, "demucs.htdemucs.HTDemucs"),
    (FractionPlaceholder, "fractions.Fraction"),
    (IgnoredNumpyValue, "numpy.dtype"),
    (IgnoredNumpyValue, "numpy.core.multiarray.scalar"),
    (IgnoredNumpyValue, "numpy._core.multiarray.scalar"),  # NumPy 2
]
"""Placeholder classes and the names that they replace: all names in published checkpoints besides tensors."""


def read_package(path: Path) -> DemucsPackage:
    """Reads a checkpoint of HTDemucs, without the ``demucs`` package and without running code.

    Raises:
        ModelUnavailableError: the file cannot be read, is damaged, contains other code or another network, or its
            weights are quantized (DiffQ).
    """
    package = _load(path)
    if not isinstance(package, dict) or not {"klass", "args", "kwargs", "state"} <= package.keys():
        raise ModelUnavailableError(f"{path} is not a checkpoint in Demucs' format; give one of htdemucs.")
    if getattr(package["klass"], "__name__", None) != HTDemucs.__name__:
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
    return DemucsPackage({str(name): weight.float() for name, weight in state.items()}, settings)


def _load(path: Path) -> object:
    try:
        with warnings.catch_warnings(action="ignore"), torch.serialization.safe_globals(PLACEHOLDERS):
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if code := _GLOBAL_NAME.search(str(error)):
            raise ModelUnavailableError(
                f"{path} refers to code that HTDemucs does not need ({code[1]}), which was not run; "
                "give a checkpoint of htdemucs."
            ) from error
        raise _damaged(path) from error
    except FileNotFoundError as error:
        raise ModelUnavailableError(f"There is no {path}; give a checkpoint of htdemucs.") from error
    except (RuntimeError, OSError, EOFError, LookupError, ValueError, AttributeError, TypeError) as error:
        # torch's reader raises all kinds of errors for damaged files
        raise _damaged(path) from error


def _damaged(path: Path) -> ModelUnavailableError:
    return ModelUnavailableError(f"{path} is truncated or not a PyTorch checkpoint; download it again.")


def _is_plain_weight(weight: object) -> bool:
    return isinstance(weight, Tensor) and weight.layout is torch.strided and weight.is_floating_point()


def _as_data(value: object) -> object:
    """A setting as plain data.

    Raises:
        ValueError: it has another type.
        ZeroDivisionError: it is a fraction with denominator zero.
    """
    if value is None or isinstance(value, bool | int | float | str | Fraction):
        return value
    if isinstance(value, list | tuple):
        return [_as_data(item) for item in value]
    if isinstance(value, FractionPlaceholder):
        match value.parts:
            case (int(numerator), int(denominator)):
                return Fraction(numerator, denominator)
            case (str(text),) if ratio := _RATIO.fullmatch(text):  # other texts could take Python for ever
                return Fraction(int(ratio[1]), int(ratio[2]))
    raise ValueError(f"a {type(value).__name__} among them")
