"""Networks that answer as one: the mean of their logits, which is the geometric mean of their masks.

Networks of different designs, or of different songs, are wrong at different places, and each is least sure where it is
wrong: together they are better than the best of them (docs/decisions/0007-committee.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from training.network import Network


class Committee(nn.Module):
    """One network or several, each with the same voice: features to logits, shaped as theirs are."""

    def __init__(self, members: Sequence[Network]) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)

    def forward(self, features: Tensor) -> Tensor:
        """``(batch, planes, bands, frames)`` -> ``(batch, stems, channels, bands, frames)``."""
        logits = [member(features) for member in self.members]
        return logits[0] if len(logits) == 1 else torch.stack(logits).mean(0)
