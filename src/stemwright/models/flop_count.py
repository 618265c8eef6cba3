"""Counts the operations of a network per second of song, without running it."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

Shape = tuple[int, ...]


def _attention(query: Shape, key: Shape, value: Shape, *others: object, **named: object) -> int:
    """Operations of attention, from its inputs' shapes ``(batch, heads, tokens, channels)``."""
    batch, heads, tokens, channels = query
    return 2 * batch * heads * tokens * key[2] * (channels + value[3])


ATTENTION = {torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention}
"""Operators of attention on a CPU, which torch's counter does not cover."""


class _SkipInverseStft(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's, untyped
    """Replaces inverse STFTs by their output shape: torch 2.13 takes 12 s to trace one, and they are not counted."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not torch.ops.aten.istft.default:
            return func(*args, **(kwargs or {}))
        given = dict(zip((argument.name for argument in func._schema.arguments), args, strict=False)) | (kwargs or {})
        spectra: Tensor = given["self"]  # (..., bins, frames)
        hop = given.get("hop_length") or given["n_fft"] // 4
        length = given.get("length") or hop * (spectra.shape[-1] - 1)
        return torch.empty((*spectra.shape[:-2], length))


def gflop_per_s(network: nn.Module, chunk_samples: int, overlap: float, sample_rate_hz: int) -> float:
    """Billions of operations per second of song, including the overlap of chunks.

    Counts matrix products, attention, convolutions and recurrent layers, a multiply-add as two operations; the rest is
    negligible.

    Args:
        network: on the meta device, without weights; it cannot be used afterwards.
        chunk_samples: chunk length in samples.
        overlap: fraction of a chunk shared with the next one.
        sample_rate_hz: sample rate of the song.
    """
    recurrent = 0

    def count(layer: nn.Module, inputs: Any, outputs: Any) -> None:
        # torch's counter ignores these: every weight is multiplied once per step and sequence
        nonlocal recurrent
        steps: Tensor = inputs[0]  # (steps, sequences, channels), or the first two the other way round
        weights = sum(weight.numel() for name, weight in layer.named_parameters() if name.startswith("weight"))
        recurrent += 2 * steps.shape[0] * steps.shape[1] * weights

    for layer in network.modules():
        if isinstance(layer, nn.RNNBase):
            layer.register_forward_hook(count)
    counter = FlopCounterMode(display=False, custom_mapping=ATTENTION)
    # Fake CPU tensors, since the meta device has no autocast.
    with FakeTensorMode(allow_non_fake_inputs=True), torch.inference_mode(), counter, _SkipInverseStft():  # type: ignore[no-untyped-call]
        network.to_empty(device="cpu")
        network(torch.empty((1, 2, chunk_samples)))
    n_operations: int = counter.get_total_flops() + recurrent
    return round(n_operations * sample_rate_hz / (chunk_samples * (1 - overlap)) / 1e9, 1)
