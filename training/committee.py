"""Networks that answer as one: the geometric mean of their masks, and for singing what all of them hear.

Networks of different designs, or of different songs, are wrong at different places, and each is least sure where it is
wrong. What one alone takes for a voice mostly is none (docs/decisions/0007-committee.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from stemwright.stems import SINGING
from training.network import Network


class Committee(nn.Module):
    """One network or several: features to logits, shaped as theirs are."""

    def __init__(self, members: Sequence[Network]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, features: Tensor) -> Tensor:
        """``(batch, planes, bands, frames)`` -> ``(batch, stems, channels, bands, frames)``."""
        if len(self.members) == 1:
            logits: Tensor = self.members[0](features)
            return logits
        votes = torch.stack([member(features).log_softmax(1) for member in self.members])
        n_singing = len(SINGING)  # they are the first stems
        return torch.cat([votes[:, :, :n_singing].amin(0), votes[:, :, n_singing:].mean(0)], 1)
