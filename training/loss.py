"""What the network is trained on: cross-entropy between the ideal ratio mask and its softmax over stems.

Each point counts by the square root of the mixture's magnitude and of its band's width: loud points matter more, as they
do to the ear and to SDR, but quiet ones still teach. An L1 distance between compressed magnitudes, the usual choice,
collapses to silence for every stem that is often absent; this loss learns from the first minute.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stemwright.models.bands import BANDS_384
from training import features
from training.network import MaskNetwork

FLOOR = 1e-6


def mask_loss(network: MaskNetwork, powers: Tensor, magnitudes: Tensor, widths: Tensor) -> Tensor:
    """Mean loss of a batch.

    Args:
        network: in training or evaluation mode.
        powers: of the mixtures, ``(batch, 4, bands, frames)``.
        magnitudes: of the stems, ``(batch, stems, 2, bands, frames)``.
        widths: bins in each band, ``(bands,)``.
    """
    with torch.autocast(powers.device.type, torch.bfloat16):
        logits = network(features.features(powers))
    log_masks = logits.float().log_softmax(1)
    total = magnitudes.sum(1)  # (batch, 2, bands, frames)
    surprise = -((magnitudes + FLOOR) * log_masks).sum(1) / (total + magnitudes.shape[1] * FLOOR)
    weight = powers[:, :2].sqrt().sqrt() * widths.float().sqrt()[:, None]
    # Each mix counts the same, however loud it is.
    by_mix = (surprise * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp_min(FLOOR)
    loss: Tensor = by_mix.mean()
    return loss


def band_widths(device: torch.device) -> Tensor:
    """Bins in each band, ``(bands,)``."""
    return torch.from_numpy(BANDS_384.widths).to(device)
