"""Builds PyTorch networks from options and checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from importlib import import_module
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from stemwright.errors import ModelUnavailableError
from stemwright.formatting import short_name
from stemwright.models.architectures import bs_roformer
from stemwright.models.checkpoint import load_into, read_checkpoint
from stemwright.models.registry import REMAINDER_LABEL, Model

ARCHITECTURES = {
    "bs_roformer": ("BSRoformerOptions", "BSRoformer"),
    "mel_band_roformer": ("MelBandRoformerOptions", "MelBandRoformer"),
    "scnet": ("SCNetOptions", "SCNet"),
    "htdemucs": ("HTDemucsOptions", "HTDemucs"),
    "mdx23c": ("MDX23COptions", "MDX23C"),
}
"""Module of ``models.architectures`` to the classes of its options and its network."""


MULTI_HEAD = ("bs_roformer", "mel_band_roformer")
"""Architectures with shared layers and a mask estimator for each label."""


def options_type(architecture: str) -> type[Any]:
    """The options of an architecture, a frozen dataclass.

    Raises:
        ModelUnavailableError: there is no such architecture.
    """
    return _class(architecture, 0)


def build(architecture: str, options: Mapping[str, Any]) -> nn.Module:
    """A network on PyTorch's meta device, without memory for weights.

    Raises:
        ModelUnavailableError: there is no such architecture, or an option is invalid.
    """
    frozen_type = options_type(architecture)
    known = {field.name for field in fields(frozen_type)}
    for name in options:
        if name not in known:
            raise ModelUnavailableError(
                f"'{name}' is not an option of {architecture}; it has {', '.join(sorted(known))}."
            )
    frozen = {name: tuple(value) if isinstance(value, list) else value for name, value in options.items()}
    try:
        with torch.device("meta"):
            network: nn.Module = _class(architecture, 1)(frozen_type(**frozen))
            return network
    except (TypeError, ValueError) as error:
        raise ModelUnavailableError(f"No {architecture} can be made with these options: {error}.") from error


@dataclass(frozen=True)
class LoadedNetwork:
    """A network of a model, and the output index of each label that is taken from it."""

    network: nn.Module
    output_indices: Mapping[str, int]


def load(model: Model, paths: Sequence[Path]) -> list[LoadedNetwork]:
    """The networks of a model, in float32 on the CPU: one, or the needed ones of a bag.

    Only the heads that the stems need are read; the remainder needs all of them.

    Raises:
        ModelUnavailableError: a file is damaged, or does not fit the network.
    """
    options = dict(model.options)
    sources = {label for labels in model.sources.values() for label in labels}
    wanted = [index for index, label in enumerate(model.labels) if label in sources or REMAINDER_LABEL in sources]
    labels = [model.labels[index] for index in wanted]
    if len(paths) > 1:  # each network of a bag was trained for the label at its own index
        return [
            LoadedNetwork(_read(model.architecture, options, paths[index], None), {label: index})
            for label, index in zip(labels, wanted, strict=True)
        ]
    (path,) = paths
    if model.architecture in MULTI_HEAD and len(labels) < len(model.labels):
        network = _read(model.architecture, {**options, "num_stems": len(labels)}, path, wanted)
        return [LoadedNetwork(network, {label: index for index, label in enumerate(labels)})]
    return [LoadedNetwork(_read(model.architecture, options, path, None), dict(zip(labels, wanted, strict=True)))]


def _read(architecture: str, options: Mapping[str, Any], path: Path, heads: Sequence[int] | None) -> nn.Module:
    tensors = read_checkpoint(path)
    if heads is not None:
        tensors = bs_roformer.heads(tensors, heads)
    network = build(architecture, options)
    load_into(network, {name: _full(tensor) for name, tensor in tensors.items()}, path)
    return network.eval().requires_grad_(False)


def _class(architecture: str, index: int) -> type[Any]:
    if architecture not in ARCHITECTURES:
        raise ModelUnavailableError(
            f"There is no architecture named '{short_name(architecture)}'; there are {', '.join(ARCHITECTURES)}."
        )
    home = import_module(f"stemwright.models.architectures.{architecture}")
    found: type[Any] = getattr(home, ARCHITECTURES[architecture][index])
    return found


def _full(tensor: Tensor) -> Tensor:
    """Half precision as float32; other types unchanged."""
    return tensor.float() if tensor.is_floating_point() else tensor
