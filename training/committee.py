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
    """One network or several: features to logits, shaped as theirs are.

    ``rarer_singing`` is taken from the logits of singing, where songs rest oftener from it than the mixes that trained
    (prior shift: Saerens et al. 2002, "Adjusting the outputs of a classifier to new a priori probabilities").
    """

    def __init__(self, members: Sequence[Network], rarer_singing: float = 0.0) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.rarer_singing = rarer_singing

    def forward(self, features: Tensor) -> Tensor:
        """``(batch, planes, bands, frames)`` -> ``(batch, stems, channels, bands, frames)``."""
        votes = [member(features) for member in self.members]
        n_singing = len(SINGING)  # they are the first stems
        if len(votes) == 1:
            singing, others = votes[0][:, :n_singing], votes[0][:, n_singing:]
        else:
            masks = torch.stack([_log_masks(vote) for vote in votes])  # (members, batch, stems, ...)
            singing, others = masks[:, :, :n_singing].amin(0), masks[:, :, n_singing:].mean(0)
        return torch.cat([singing - self.rarer_singing, others], 1)


def _log_masks(logits: Tensor) -> Tensor:
    # `log_softmax` spelt out: ONNX Runtime's own transposes the whole tensor there and back.
    lowered = logits - logits.amax(1, keepdim=True)
    return lowered - lowered.exp().sum(1, keepdim=True).log()
