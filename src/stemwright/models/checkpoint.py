"""Reads published checkpoints without running code from them, and loads them into networks.

A checkpoint is a table of tensors by name, sometimes with training state such as the optimiser, epoch and arguments.
Only the tensors are kept.
"""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from stemwright.errors import ModelUnavailableError
from stemwright.models.state_dict import named_weights
from stemwright.models.torch_file import damaged

_GLOBAL_NAME = re.compile(r"GLOBAL ([\w.]+)")
"""Matches the global named in an error of torch's weights-only loader."""


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint on the CPU, by name, in the precision they were saved in.

    Large files are memory-mapped where their format allows it.

    Args:
        path: ``.safetensors``, or a file of ``torch.save``: ``.ckpt``, ``.th``, ``.pt``, ``.pth``, ``.bin``.

    Raises:
        ModelUnavailableError: the file cannot be read, is truncated, is not a checkpoint, contains code, or no tensors.
    """
    try:
        with path.open("rb") as file:
            zipped = zipfile.is_zipfile(file)
    except OSError as error:
        raise ModelUnavailableError(
            f"{path} cannot be read ({error.strerror or error}); give a checkpoint that you may read."
        ) from error
    # only the newer of torch's two formats, a zip archive, can be memory-mapped
    content = _safetensors(path) if path.suffix == ".safetensors" else _pickled(path, mapped=zipped)
    tensors = named_weights(content, Tensor)
    if not tensors:
        raise ModelUnavailableError(f"{path} contains no tensors; give the checkpoint of a network.")
    return tensors


def load_into(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Loads weights into a network without a copy: the network then shares the tensors of ``tensors``.

    Args:
        network: may be on the ``meta`` device, where it uses no memory.
        tensors: exactly the names of its state dict.
        path: the file they were read from, for error messages.

    Raises:
        ModelUnavailableError: a tensor is missing, unexpected, or has the wrong shape; the error names the first one.
    """
    problem = _mismatch(network.state_dict(), tensors)
    if problem:
        raise ModelUnavailableError(f"{path} does not fit its network: {problem}.")
    network.load_state_dict(dict(tensors), strict=True, assign=True)


def _safetensors(path: Path) -> Mapping[str, object]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ModelUnavailableError(
            f"{path} is not a complete safetensors file ({error}); download it again, or give another checkpoint."
        ) from error


def _pickled(path: Path, *, mapped: bool) -> object:
    try:
        with warnings.catch_warnings(action="ignore"):  # from files of other versions of pickle
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        code = _GLOBAL_NAME.search(str(error))
        if code is None:
            raise damaged(path) from error
        if code[1].startswith("demucs."):
            return _demucs(path)
        raise ModelUnavailableError(
            f"{path} contains code besides its weights ({code[1]}), which was not run; give a checkpoint of tensors alone."
        ) from error
    except (RuntimeError, OSError, EOFError, LookupError, ValueError, AttributeError, TypeError) as error:
        # torch's reader raises all kinds of errors for damaged files
        raise damaged(path) from error


def _demucs(path: Path) -> Mapping[str, Tensor]:
    """The weights of a Demucs checkpoint, which also references Demucs classes."""
    from stemwright.models.demucs_package import read_package

    return {name: torch.from_numpy(np.array(weight.array())) for name, weight in read_package(path).state.items()}


def _mismatch(wanted: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> str | None:
    for name, tensor in wanted.items():
        if name not in given:
            return f"{name} is missing"
        if given[name].shape != tensor.shape:
            return f"{name} has shape {tuple(given[name].shape)} where {tuple(tensor.shape)} is expected"
    for name in given:
        if name not in wanted:
            return f"{name} is not a tensor of this network"
    return None
