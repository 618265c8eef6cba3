"""Struck or held: a cue between drums and bass that no recording's timbre changes.

A stroke is short and spreads over frequencies; a held note is long and narrow. Fitzgerald (2010, "Harmonic/percussive
separation using median filtering") tells them apart by what surrounds a point in time and in frequency. Here means stand
for his medians, which ONNX has none of: of the logarithms that the network sees anyway, so that one loud neighbour does
not decide.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stemwright.stems import STEMS
from training.network.unet import LEAST_FEATURE

BANDS, FRAMES = 17, 9
"""What surrounds a point: 183 Hz where bands are single bins, a quarter of an octave above; 0.2 s."""


class Strokes(nn.Module):
    """The cue, and what it gives to drums: ``nats`` for each neper that a point is struck rather than held, and basses as
    much less."""

    def __init__(self, nats: float) -> None:
        super().__init__()
        gains = torch.zeros(len(STEMS))
        gains[STEMS.index("drums")], gains[STEMS.index("bass")] = nats, -nats
        self.register_buffer("gains", gains[:, None, None, None], persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """How much each point is struck rather than held, in nepers: features ``(batch, planes, bands, frames)`` ->
        ``(batch, 1, 1, bands, frames)``."""
        heard = features[:, :2].mean(1, keepdim=True).clamp_min(LEAST_FEATURE)  # left and right alike
        wide = nn.functional.avg_pool2d(heard, (BANDS, 1), 1, (BANDS // 2, 0), count_include_pad=False)
        long = nn.functional.avg_pool2d(heard, (1, FRAMES), 1, (0, FRAMES // 2), count_include_pad=False)
        struck: Tensor = (wide - long)[:, None]
        return struck

    def add(self, struck: Tensor, logits: Tensor) -> Tensor:
        """Logits ``(batch, stems, channels, bands, frames)`` with what the cue gives them."""
        return logits + struck * self.get_buffer("gains")
