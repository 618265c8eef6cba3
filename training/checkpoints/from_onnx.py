"""Starts a run from an exported network: the one that ships, if there is no checkpoint of it.

    python -m training.checkpoints.from_onnx --corpus training/corpus --run training/runs/next
    python -m training.train --corpus training/corpus --run training/runs/next --resume --minutes 600

The export has folded each batch norm into its convolution. Here each norm is restored: it measures the mean ``m`` and
the variance ``v`` of its input on mixes of the corpus and gets the gain ``sqrt(v + eps)`` and the bias ``bias + m``.
The output of the network stays the same, and training can continue as if it had never been folded.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from stemwright.models import registry, weight_store
from training.checkpoints.checkpoint import Checkpoint, StateDict, require_no_run
from training.checkpoints.onnx_export import conv_norm_pairs
from training.data.augmentation import MixSettings
from training.data.dataset import Dataset
from training.data.songs import Corpus, SongCache
from training.data.spectrogram import Batch
from training.network.designs import DESIGNS, build
from training.network.logit_bias import LogitBias
from training.network.unet import Network, NetworkShape

SHIPPED_MODEL = "stemwright-12"
CALIBRATION_BATCHES = 12
PREFIX = "network."
EPS = 1e-5
"""Torch's batch norm adds this to the variance."""


@dataclass(frozen=True)
class ExportedNetwork:
    """A network of the file: its tensors by name, the logit bias that is in them, its shape and its training so far."""

    tensors: StateDict
    bias: LogitBias
    shape: NetworkShape
    step: int
    minutes: float
    audio_s: float


def read_networks(exported: bytes) -> list[ExportedNetwork]:
    """The networks of an exported file, in their order."""
    model = onnx.load_from_string(exported)
    facts = {property.key: property.value for property in model.metadata_props}
    values = {
        initialiser.name.removesuffix(".half"): torch.from_numpy(numpy_helper.to_array(initialiser).astype(np.float32))
        for initialiser in model.graph.initializer
    }
    # Files from before ensembles have one network, without a number in the names.
    described = json.loads(facts["members"]) if "members" in facts else [_only(facts)]
    bias = LogitBias.from_metadata(json.loads(facts.get("priors", "{}")))
    members = []
    for number, of in enumerate(described):
        prefix = f"{PREFIX}members.{number}." if "members" in facts else PREFIX
        tensors = {name.removeprefix(prefix): value for name, value in values.items() if name.startswith(prefix)}
        members.append(
            ExportedNetwork(tensors, bias, NetworkShape.of(of["shape"]), of["step"], of["minutes"], of["audio_s"])
        )
    return members


def _only(facts: Mapping[str, str]) -> dict[str, Any]:
    hours, minutes, steps = (facts[f"training_{name}"] for name in ("audio_hours", "minutes", "steps"))
    shape = json.loads(facts.get("shape", "{}"))
    return {"shape": shape, "step": int(steps), "minutes": float(minutes), "audio_s": 3600 * float(hours)}


def unfold_batch_norms(tensors: StateDict, shape: NetworkShape) -> Network:
    """The exported network in evaluation mode; each folded norm only adds its bias.

    Raises:
        ValueError: the file holds a network of another shape.
    """
    network = build(shape)
    state = network.state_dict()
    for convolution, norm in conv_norm_pairs(network):
        tensors = tensors | {
            # With a variance of one and a mean of zero, this gain makes the norm add its bias and no more.
            f"{norm}.weight": torch.full_like(state[f"{norm}.weight"], (1 + EPS) ** 0.5),
            f"{norm}.bias": tensors.get(f"{convolution}.bias", torch.empty(0)),
            f"{norm}.running_mean": torch.zeros_like(state[f"{norm}.running_mean"]),
            f"{norm}.running_var": torch.ones_like(state[f"{norm}.running_var"]),
        }
    counters = {name: value for name, value in state.items() if name.endswith("num_batches_tracked")}
    missing = state.keys() - tensors.keys() - counters.keys()
    wrong = sorted(
        missing | {name for name in state.keys() & tensors.keys() if state[name].shape != tensors[name].shape}
    )
    if wrong:
        raise ValueError(f"The file holds another network than {shape}: {wrong[0]} is missing or has another shape.")
    network.load_state_dict({name: tensors.get(name, value) for name, value in state.items()})
    return network.eval()


@torch.no_grad()
def restore_batch_norms(network: Network, batches: Sequence[Batch]) -> None:
    """Gives the folded norms the statistics of their inputs, without changing the output of the network."""
    norms = [network.get_submodule(norm) for _, norm in conv_norm_pairs(network)]
    seen: dict[nn.Module, list[Tensor]] = {norm: [] for norm in norms}

    def note(norm: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        (x,) = inputs  # (batch, width, bands, frames)
        seen[norm].append(torch.stack([x.mean((0, 2, 3)), x.square().mean((0, 2, 3))]))

    hooks = [norm.register_forward_pre_hook(note) for norm in norms]
    for batch in batches:
        network(batch.seen)
    for hook in hooks:
        hook.remove()
    for norm in norms:
        assert isinstance(norm, nn.BatchNorm2d) and norm.running_mean is not None and norm.running_var is not None
        mean, square = torch.stack(seen[norm]).mean(0)
        variance = square - mean.square()
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(variance)
        norm.weight.copy_((variance + EPS).sqrt())
        norm.bias.add_(mean)


def shipped_shapes() -> list[NetworkShape]:
    """Shapes of the networks that ship."""
    return [member.shape for member in read_networks(weight_store.load(registry.find(SHIPPED_MODEL)))]


def shipped_checkpoint(batches: Sequence[Batch], design: str | None = None) -> Checkpoint:
    """The network that ships, of that design or else the first, as a checkpoint whose norms have measured ``batches``.

    The logit bias that the file states is removed, since training mixes do not need it.

    Raises:
        LookupError: no network of that design ships.
    """
    member = _of_design(design)
    network = unfold_batch_norms(member.tensors, member.shape).to(batches[0].powers.device)
    member.bias.remove(network)
    restore_batch_norms(network, batches)
    state = network.cpu().state_dict()
    return Checkpoint(member.shape, state, state, {}, member.step, member.minutes, member.audio_s)


def _of_design(design: str | None) -> ExportedNetwork:
    members = read_networks(weight_store.load(registry.find(SHIPPED_MODEL)))
    member = next((member for member in members if design in (None, member.shape.design)), None)
    if member is None:
        there = ", ".join(member.shape.design for member in members)
        raise LookupError(f"The wheel has no network of the design '{design}'; it has {there}.")
    return member


def main() -> None:
    """Reads the command line and writes the checkpoint."""
    parser = argparse.ArgumentParser(description="Starts a run from the network that ships.")
    parser.add_argument("--corpus", type=Path, required=True, help="folder of songs to measure the norms on")
    parser.add_argument("--run", type=Path, required=True, help="folder for the checkpoint")
    parser.add_argument("--design", choices=tuple(DESIGNS), help="of the network, if several ship; else the first")
    options = parser.parse_args()
    try:
        require_no_run(options.run)  # before the minutes that measuring takes
        _of_design(options.design)
    except (FileExistsError, LookupError) as error:
        parser.error(str(error))
    song_cache = SongCache([Corpus(options.corpus)], 10**9, 0)
    song_cache.refresh()
    dataset = Dataset(song_cache, 128, MixSettings(), 0)
    if not song_cache.training:
        parser.exit(1, f"There is no song in {options.corpus}. Render some with: python -m training.rendering.corpus\n")
    batches = [dataset.batch(8) for _ in range(CALIBRATION_BATCHES)]
    print(shipped_checkpoint(batches, options.design).start_run(options.run))


if __name__ == "__main__":
    main()
