"""What a network takes: operations for a second of song, counted without multiplying anything."""

from __future__ import annotations

import torch
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils.flop_counter import FlopCounterMode


def gflop_per_s(network: nn.Module, chunk_samples: int, overlap: float, sample_rate_hz: int) -> float:
    """Billions of operations for a second of song, what neighbouring chunks hear twice included.

    Products of matrices and convolutions count, a multiplication and an addition as two; the rest is small beside them.

    Args:
        network: without weights, on the meta device; it is of no use afterwards.
        chunk_samples: samples of a chunk.
        overlap: share of it that the next one hears too.
        sample_rate_hz: of the song.
    """
    # Not on the meta device itself, which knows no autocast: tensors of the processor that have a shape and nothing else.
    with FakeTensorMode(allow_non_fake_inputs=True), torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network.to_empty(device="cpu")
        network(torch.empty((1, 2, chunk_samples)))
    n_operations: int = counter.get_total_flops()
    song_s = chunk_samples * (1 - overlap) / sample_rate_hz
    return round(n_operations / song_s / 1e9, 1)
