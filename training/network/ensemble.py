"""An ensemble of mask networks: the geometric mean of their masks; for singing, the smallest of them.

Networks of different designs, or trained on different songs, make different errors, and each is least certain where it
is wrong. What only one of them takes for vocals is mostly something else (docs/training-log.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import torch
from torch import Tensor, nn

from stemwright.stems import SINGING
from training.network.onset_prior import OnsetPrior
from training.network.unet import Network


class NetworkEnsemble(nn.Module):
    """One network or several: features to logits, in the shapes of ``Network``.

    The attribute ``members`` is part of the names of weights in exported files.

    Args:
        members: the networks.
        weights: of each network in the mean, but for singing; equal if there are none.
        onset_nats: strength of the onset prior; 0 for none.
    """

    def __init__(self, members: Sequence[Network], weights: Sequence[float] = (), onset_nats: float = 0.0) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.onset_prior = OnsetPrior(onset_nats)
        self.weights = [weight / sum(weights) for weight in weights] or [1 / len(members)] * len(members)

    def forward(self, features: Tensor) -> Tensor:
        """``(batch, planes, bands, frames)`` -> ``(batch, stems, channels, bands, frames)``."""
        return self.combine(self.onset_prior(features), [member(features) for member in self.members])

    def combine(self, percussiveness: Tensor, logits: Sequence[Tensor]) -> Tensor:
        """Logits of the ensemble.

        Args:
            percussiveness: what ``OnsetPrior.forward`` gave for the same points.
            logits: of each network, ``(batch, stems, ...)``.
        """
        if len(logits) == 1:
            return self.onset_prior.apply_to(logits[0], percussiveness)
        masks = [_log_masks(one) for one in logits]
        n_singing = len(SINGING)  # they are the first stems
        singing = reduce(torch.minimum, (mask[:, :n_singing] for mask in masks))
        others = (weight * mask[:, n_singing:] for weight, mask in zip(self.weights, masks, strict=True))
        return self.onset_prior.apply_to(torch.cat([singing, reduce(torch.add, others)], 1), percussiveness)


def _log_masks(logits: Tensor) -> Tensor:
    # `log_softmax` spelt out: ONNX Runtime's own transposes the whole tensor there and back.
    lowered = logits - logits.amax(1, keepdim=True)
    return lowered - lowered.exp().sum(1, keepdim=True).log()
