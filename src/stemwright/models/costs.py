"""What a network takes: operations for a second of song, counted on the meta device, where nothing is multiplied."""

from __future__ import annotations

import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode


def gflop_per_s(network: nn.Module, chunk_samples: int, overlap: float, sample_rate_hz: int) -> float:
    """Billions of operations for a second of song, what neighbouring chunks hear twice included.

    Products of matrices and convolutions count, a multiplication and an addition as two; the rest is small beside them.

    Args:
        network: on the meta device.
        chunk_samples: samples of a chunk.
        overlap: share of it that the next one hears too.
        sample_rate_hz: of the song.
    """
    with torch.inference_mode(), FlopCounterMode(display=False) as counter:
        network(torch.empty((1, 2, chunk_samples), device="meta"))
    song_s = chunk_samples * (1 - overlap) / sample_rate_hz
    n_operations: int = counter.get_total_flops()
    return round(n_operations / song_s / 1e9, 1)
