"""From checkpoints to the network that is scored or exported: the ensemble of them, with its biases."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from training.checkpoints.checkpoint import Checkpoint
from training.network import logit_bias
from training.network.ensemble import NetworkEnsemble
from training.network.logit_bias import LogitBias


def build_ensemble(
    checkpoints: Sequence[Checkpoint],
    bias: LogitBias | None = None,
    weights: Sequence[float] = (),
    onset_nats: float = 0.0,
) -> NetworkEnsemble:
    """The averaged networks of checkpoints as one, in evaluation mode.

    Args:
        checkpoints: one, or several.
        bias: added to the logits of each network.
        weights: of each network in the mean (``NetworkEnsemble``).
        onset_nats: strength of the onset prior.

    Raises:
        ValueError: there are weights, but not one above zero for each checkpoint.
    """
    if weights and (len(weights) != len(checkpoints) or min(weights) <= 0):
        raise ValueError(
            f"There are {len(checkpoints)} checkpoints and {len(weights)} weights: give each checkpoint one above zero, "
            "or none."
        )
    networks = [checkpoint.averaged_network() for checkpoint in checkpoints]
    for network in networks:
        (bias or LogitBias()).apply(network)
    return NetworkEnsemble(networks, weights, onset_nats).eval()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The checkpoints, their weights and their biases, for ``build_ensemble``."""
    parser.add_argument("checkpoints", type=Path, nargs="+", help="one, or several for an ensemble")
    parser.add_argument(
        "--weight",
        type=float,
        action="append",
        default=[],
        help="of each checkpoint in turn in the mean of the masks, but for singing; equal if not given",
    )
    logit_bias.add_arguments(parser)
    parser.add_argument(
        "--onset-prior",
        type=float,
        default=0.0,
        metavar="NATS",
        help="raise drums and lower the bass at drum hits, by so many nats for each neper of percussiveness",
    )
    parser.add_argument("--strokes", type=float, dest="onset_prior", help=argparse.SUPPRESS)  # its name until 0.1.0
