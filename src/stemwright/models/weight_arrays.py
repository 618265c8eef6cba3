"""Reads the weights of published checkpoints as NumPy arrays, without PyTorch and without running code in them."""

from __future__ import annotations

import json
import mmap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemwright.errors import ModelUnavailableError
from stemwright.models import demucs_package
from stemwright.models.state_dict import named_weights
from stemwright.models.torch_file import ForeignCodeError, StoredTensor, read_torch_file

Array = NDArray[Any]
ReadWeight = Callable[[], Array]

SAFETENSORS_TYPES: Mapping[str, str] = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "BF16": "<u2",  # NumPy has none: the upper halves of float32
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U8": "u1",
    "BOOL": "?",
}


class WeightArrays:
    """The weights of a checkpoint. Each is read when it is asked for; float32 ones remain in the mapped file.

    Args:
        path: ``.safetensors``, or a file of ``torch.save``, as of Demucs.

    Raises:
        ModelUnavailableError: the file cannot be read, is damaged, contains code, or no tensors.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._weights = _safetensors(path) if path.suffix == ".safetensors" else _pickled(path)
        if not self._weights:
            raise ModelUnavailableError(f"{path} contains no tensors; give the checkpoint of a network.")

    def fitting(self, shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Array]:
        """The weights of a network, float32 where they have fractions.

        Args:
            shapes: name and shape of each tensor of the network.

        Raises:
            ModelUnavailableError: a tensor is missing, unexpected, or has the wrong shape; the error names the first one.
        """
        arrays = {}
        for name, shape in shapes.items():
            if name not in self._weights:
                raise self._misfit(f"{name} is missing")
            arrays[name] = self._weights[name]()
            if arrays[name].shape != shape:
                raise self._misfit(f"{name} has shape {arrays[name].shape} where {shape} is expected")
        for name in self._weights:
            if name not in shapes:
                raise self._misfit(f"{name} is not a tensor of this network")
        return arrays

    def _misfit(self, problem: str) -> ModelUnavailableError:
        return ModelUnavailableError(f"{self._path} does not fit its network: {problem}.")


def _pickled(path: Path) -> dict[str, ReadWeight]:
    try:
        content = read_torch_file(path, demucs_package.CLASSES)
    except ForeignCodeError as error:
        raise ModelUnavailableError(
            f"{path} contains code besides its weights ({error}), which was not run; give a checkpoint of tensors alone."
        ) from error
    if demucs_package.is_package(content):
        return {name: weight.array for name, weight in demucs_package.read_package(path).state.items()}
    return {name: weight.array for name, weight in named_weights(content, StoredTensor).items()}


def _safetensors(path: Path) -> dict[str, ReadWeight]:
    """A table in JSON after its length in eight bytes, then all numbers (https://github.com/huggingface/safetensors)."""
    try:
        with path.open("rb") as file:
            content = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        start = 8 + int.from_bytes(content[:8], "little")
        if start > len(content):
            raise ValueError("a table that is longer than the file")
        table = json.loads(content[8:start])
        table.pop("__metadata__", None)
        return named_weights({name: _view(content, start, facts) for name, facts in table.items()}, _View)
    except OSError as error:
        raise ModelUnavailableError(
            f"{path} cannot be read ({error.strerror or error}); give a checkpoint that you may read."
        ) from error
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise ModelUnavailableError(
            f"{path} is not a complete safetensors file ({error}); download it again, or give another checkpoint."
        ) from error


class _View:
    """A tensor of a safetensors file; calling it gives its numbers."""

    def __init__(self, type_: str, numbers: Array) -> None:
        self._type = type_
        self._numbers = numbers

    def __call__(self) -> Array:
        if self._type == "BF16":
            widened: Array = (self._numbers.astype(np.uint32) << 16).view(np.float32)
            return widened
        return self._numbers.astype(np.float32, copy=False) if self._numbers.dtype.kind == "f" else self._numbers


def _view(content: mmap.mmap, start: int, facts: Mapping[str, Any]) -> _View:
    first, end = facts["data_offsets"]
    dtype = np.dtype(SAFETENSORS_TYPES[facts["dtype"]])
    numbers = np.frombuffer(content, dtype, (end - first) // dtype.itemsize, start + first)
    return _View(facts["dtype"], numbers.reshape(facts["shape"]))
