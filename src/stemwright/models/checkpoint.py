"""Checkpoints as people publish them: read without running anything in them, and given to a network.

A checkpoint is a table of tensors by name, alone or among what its training left beside it: the optimiser, the epoch, the
arguments. Whatever surrounds the tensors is thrown away here, so that the rest of Stemwright knows only the table.
"""

from __future__ import annotations

import pickle
import re
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from torch import Tensor, nn

from stemwright.errors import ModelUnavailableError

WRAPPERS = ("best_state", "state_dict", "model_state_dict", "state", "model")
"""Under which of its keys a training program keeps the weights; the first one that is there. SCNet's own keeps the best
state beside the last one."""

PREFIXES = ("module.", "model.", "_orig_mod.")
"""What parallel training, a class around the network, and ``torch.compile`` put before every name."""

_GLOBAL_NAME = re.compile(r"GLOBAL ([\w.]+)")
"""How torch tells what it would have had to import."""


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint on the processor, by name, in the precision that they were saved in.

    Large files are mapped into memory, not copied, where their format allows it.

    Args:
        path: ``.safetensors``, or what ``torch.save`` writes: ``.ckpt``, ``.th``, ``.pt``, ``.pth``, ``.bin``.

    Raises:
        ModelUnavailableError: the file cannot be read, is truncated, is no checkpoint, holds code, or contains no tensors.
    """
    try:
        with path.open("rb") as file:
            zipped = zipfile.is_zipfile(file)
    except OSError as error:
        raise ModelUnavailableError(
            f"{path} cannot be read ({error.strerror or error}); give a checkpoint that you may read."
        ) from error
    # of torch's two formats only the newer one, a zip archive, can be mapped
    content = _safetensors(path) if path.suffix == ".safetensors" else _pickled(path, mapped=zipped)
    tensors = _without_prefix(
        {str(name): value for name, value in _state(content).items() if isinstance(value, Tensor)}
    )
    if not tensors:
        raise ModelUnavailableError(f"{path} contains no tensors; give the checkpoint of a network.")
    return tensors


def load_into(network: nn.Module, tensors: Mapping[str, Tensor], path: Path) -> None:
    """Gives a network its weights, without a copy: the network then holds the very tensors of ``tensors``.

    Args:
        network: may lie on the ``meta`` device, where it takes no memory.
        tensors: all that its state dict names, and nothing else.
        path: the file that they are from, for error messages.

    Raises:
        ModelUnavailableError: a tensor is missing, too many, or of another shape; the first such is named.
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
        with warnings.catch_warnings(action="ignore"):  # of what another release of pickle wrote
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        code = _GLOBAL_NAME.search(str(error))
        if code is None:
            raise _no_checkpoint(path) from error
        if code[1].startswith("demucs."):
            return _demucs(path)
        raise ModelUnavailableError(
            f"{path} contains code besides its weights ({code[1]}), which was not run; give a checkpoint of tensors alone."
        ) from error
    except (RuntimeError, OSError, EOFError, LookupError, ValueError, AttributeError, TypeError) as error:
        # whatever torch's reader stumbles over where the bytes are not what they should be
        raise _no_checkpoint(path) from error


def _demucs(path: Path) -> Mapping[str, Tensor]:
    """The weights of a file as Demucs publishes them, which names classes of its own beside them."""
    from stemwright.models.demucs_package import read_package

    return read_package(path).state


def _no_checkpoint(path: Path) -> ModelUnavailableError:
    return ModelUnavailableError(
        f"{path} is truncated or not a PyTorch checkpoint; download it again, or give another one."
    )


def _state(content: object) -> Mapping[str, object]:
    while isinstance(content, Mapping):
        inner = next((content[key] for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)
        if inner is None:
            return content
        content = inner
    return {}


def _without_prefix(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    for prefix in PREFIXES:
        if tensors and all(name.startswith(prefix) for name in tensors):
            return _without_prefix({name.removeprefix(prefix): tensor for name, tensor in tensors.items()})
    return tensors


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
