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
"""Attention as the processor does it, which torch's counter knows by its other names only."""


class _SkipInverseStft(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch's, untyped
    """Lets inverse transforms pass by their shape: without weights torch 2.13 takes 12 s to trace one, and none counts."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func is not torch.ops.aten.istft.default:
            return func(*args, **(kwargs or {}))
        given = dict(zip((argument.name for argument in func._schema.arguments), args, strict=False)) | (kwargs or {})
        spectra: Tensor = given["self"]  # (..., bins, frames)
        hop = given.get("hop_length") or given["n_fft"] // 4
        length = given.get("length") or hop * (spectra.shape[-1] - 1)
        return torch.empty((*spectra.shape[:-2], length))


def gflop_per_s(network: nn.Module, chunk_samples: int, overlap: float, sample_rate_hz: int) -> float:
    """Billions of operations for a second of song, including the overlap of chunks.

    Products of matrices, attention, convolutions and recurrent layers count, a multiplication and an addition as two;
    the rest is small beside them.

    Args:
        network: without weights, on the meta device; it is of no use afterwards.
        chunk_samples: samples of a chunk.
        overlap: fraction shared with the next chunk.
        sample_rate_hz: of the song.
    """
    recurrent = 0

    def count(layer: nn.Module, inputs: Any, outputs: Any) -> None:
        # torch's counter passes over these: every weight is multiplied once for each step of each sequence
        nonlocal recurrent
        steps: Tensor = inputs[0]  # (steps, sequences, channels), or the first two the other way round
        weights = sum(weight.numel() for name, weight in layer.named_parameters() if name.startswith("weight"))
        recurrent += 2 * steps.shape[0] * steps.shape[1] * weights

    for layer in network.modules():
        if isinstance(layer, nn.RNNBase):
            layer.register_forward_hook(count)
    counter = FlopCounterMode(display=False, custom_mapping=ATTENTION)
    # Not on the meta device itself, which knows no autocast: tensors of the processor that have a shape and nothing else.
    with FakeTensorMode(allow_non_fake_inputs=True), torch.inference_mode(), counter, _SkipInverseStft():  # type: ignore[no-untyped-call]
        network.to_empty(device="cpu")
        network(torch.empty((1, 2, chunk_samples)))
    n_operations: int = counter.get_total_flops() + recurrent
    return round(n_operations * sample_rate_hz / (chunk_samples * (1 - overlap)) / 1e9, 1)
