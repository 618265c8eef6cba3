"""The onset prior: moves energy between drums and bass by how percussive each point of the spectrogram is.

A drum hit is short and wide in frequency; a held note is long and narrow. Fitzgerald (2010, "Harmonic/percussive
separation using median filtering") separates the two with medians along time and along frequency. ONNX has no median,
so means are used here. They are taken over the logarithmic input features, so that one loud neighbour does not
dominate.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from stemwright.stems import STEMS
from training.network.unet import MIN_FEATURE

WINDOW_BANDS, WINDOW_FRAMES = 17, 9
"""Size of the two means: 183 Hz where bands are single bins and a quarter of an octave above; 0.2 s."""


class OnsetPrior(nn.Module):
    """Adds ``nats`` to the logit of drums per neper of percussiveness, and subtracts as much from that of the bass."""

    def __init__(self, nats: float) -> None:
        super().__init__()
        gains = torch.zeros(len(STEMS))
        gains[STEMS.index("drums")], gains[STEMS.index("bass")] = nats, -nats
        self.register_buffer("gains", gains[:, None, None, None], persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Percussiveness of each point in nepers.

        Features ``(batch, planes, bands, frames)`` -> ``(batch, 1, 1, bands, frames)``; negative at held notes.
        """
        level = features[:, :2].mean(1, keepdim=True).clamp_min(MIN_FEATURE)  # mean of left and right
        wide = nn.functional.avg_pool2d(level, (WINDOW_BANDS, 1), 1, (WINDOW_BANDS // 2, 0), count_include_pad=False)
        long = nn.functional.avg_pool2d(level, (1, WINDOW_FRAMES), 1, (0, WINDOW_FRAMES // 2), count_include_pad=False)
        percussiveness: Tensor = (wide - long)[:, None]
        return percussiveness

    def apply_to(self, logits: Tensor, percussiveness: Tensor) -> Tensor:
        """Logits ``(batch, stems, channels, bands, frames)`` with the prior added."""
        return logits + percussiveness * self.get_buffer("gains")
