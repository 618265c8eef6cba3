"""Networks that answer as one: the geometric mean of their masks, and for singing what all of them hear.

Networks of different designs, or of different songs, are wrong at different places, and each is least sure where it is
wrong. What one alone takes for a voice mostly is none (docs/decisions/0007-committee.md).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import reduce
from pathlib import Path

import torch
from torch import Tensor, nn

from stemwright.stems import SINGING
from training.checkpoints.checkpoint import Checkpoint
from training.network import priors
from training.network.onset_prior import Strokes
from training.network.priors import Priors
from training.network.unet import Network


class Committee(nn.Module):
    """One network or several: features to logits, shaped as theirs are.

    ``weights`` are what each one's vote counts but for singing; all alike where there are none. ``strokes`` is how much
    drums gain and basses lose where something is struck.
    """

    def __init__(self, members: Sequence[Network], weights: Sequence[float] = (), strokes: float = 0.0) -> None:
        super().__init__()
        self.members = nn.ModuleList(members)
        self.strokes = Strokes(strokes)
        self.weights = [weight / sum(weights) for weight in weights] or [1 / len(members)] * len(members)

    def forward(self, features: Tensor) -> Tensor:
        """``(batch, planes, bands, frames)`` -> ``(batch, stems, channels, bands, frames)``."""
        return self.agree(self.strokes(features), [member(features) for member in self.members])

    def agree(self, struck: Tensor, votes: Sequence[Tensor]) -> Tensor:
        """Logits of each member at some points, ``(batch, stems, ...)``, to those of all; ``struck`` is the cue there."""
        if len(votes) == 1:
            return self.strokes.add(struck, votes[0])
        masks = [_log_masks(vote) for vote in votes]
        n_singing = len(SINGING)  # they are the first stems
        singing = reduce(torch.minimum, (mask[:, :n_singing] for mask in masks))
        others = (weight * mask[:, n_singing:] for weight, mask in zip(self.weights, masks, strict=True))
        return self.strokes.add(struck, torch.cat([singing, reduce(torch.add, others)], 1))


def assemble(
    checkpoints: Sequence[Checkpoint],
    known: Priors | None = None,
    weights: Sequence[float] = (),
    strokes: float = 0.0,
) -> Committee:
    """The averaged networks of checkpoints, each lowered by what is known of songs, with the cue of ``strokes``.

    Raises:
        ValueError: there are weights, but not one above zero for each.
    """
    if weights and (len(weights) != len(checkpoints) or min(weights) <= 0):
        raise ValueError(f"Each of the {len(checkpoints)} checkpoints needs a weight above zero, or none has one.")
    networks = [checkpoint.averaged_network() for checkpoint in checkpoints]
    for network in networks:
        (known or Priors()).lower(network)
    return Committee(networks, weights, strokes).eval()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The networks, how they vote, and what they are told besides."""
    parser.add_argument("checkpoints", type=Path, nargs="+", help="one, or several that answer as one")
    parser.add_argument(
        "--weight",
        type=float,
        action="append",
        default=[],
        help="of each checkpoint's vote in turn, but for singing; alike unless said otherwise",
    )
    priors.add_arguments(parser)
    parser.add_argument(
        "--strokes",
        type=float,
        default=0.0,
        metavar="NATS",
        help="drums gain and basses lose where something is struck",
    )


def _log_masks(logits: Tensor) -> Tensor:
    # `log_softmax` spelt out: ONNX Runtime's own transposes the whole tensor there and back.
    lowered = logits - logits.amax(1, keepdim=True)
    return lowered - lowered.exp().sum(1, keepdim=True).log()
