"""Averages the weights of several checkpoints, whose errors differ and so partly cancel.

    python -m training.checkpoints.average --checkpoint A/checkpoint.pt 0.3 --checkpoint B/checkpoint.pt 0.7 \\
        --ancestor C/checkpoint.pt --corpus training/corpus --run training/runs/average

Weights of networks that went on from one another, or from one ancestor, can be averaged tensor by tensor (Izmailov et
al. 2018, "Averaging weights leads to wider optima and better generalization"; Wortsman et al. 2022, "Model soups").
The activations of the average network are not the average of activations, so its batch norms are measured again on
mixes of the corpus: without that one average lost 1.3 dB of bass.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor, nn

from training.checkpoints.checkpoint import Checkpoint, StateDict
from training.data.augmentation import MixSettings
from training.data.dataset import Dataset
from training.data.songs import Corpus, SongCache
from training.optimise.malloc import keep_freed_memory

BATCHES, BATCH, FRAMES = 48, 8, 128
"""The batch norms are measured on 384 mixes of three seconds."""

MEMORY_BYTES = 3_000_000_000
SEED = 77


def average(
    checkpoints: Sequence[Checkpoint], weights: Sequence[float], ancestor: Checkpoint | None = None
) -> Checkpoint:
    """The average of the moving averages of checkpoints; its batch norms still have to be measured.

    Args:
        checkpoints: checkpoints of one shape and one origin.
        weights: weight of each checkpoint; they are normalised to a sum of one.
        ancestor: the last checkpoint that all of them were trained from. Its steps, minutes and hours then count once
            in those of the average; without it those of each checkpoint count in full.

    Raises:
        ValueError: the shapes differ, the number of weights is wrong, a weight is negative, or all weights are zero.
    """
    if len(weights) != len(checkpoints) or min(weights, default=-1) < 0 or not sum(weights):
        raise ValueError("Every checkpoint needs a weight of zero or more, and one of them more than zero.")
    first = checkpoints[0]
    if any(checkpoint.shape != first.shape for checkpoint in checkpoints):
        raise ValueError("Networks of different shapes cannot be averaged.")
    shares = [weight / sum(weights) for weight in weights]

    def at(name: str) -> Tensor:
        values = [checkpoint.average[name] for checkpoint in checkpoints]
        if not values[0].is_floating_point():
            return values[0].clone()  # a batch norm's count of batches
        return torch.stack([share * value for share, value in zip(shares, values, strict=True)]).sum(0)

    state: StateDict = {name: at(name) for name in first.average}
    behind = [(one.step, one.minutes, one.audio_s) for one in checkpoints]
    shared = (ancestor.step, ancestor.minutes, ancestor.audio_s) if ancestor else (0, 0.0, 0.0)
    step, minutes, audio_s = (
        before + sum(value - before for value in each)
        for before, each in zip(shared, zip(*behind, strict=True), strict=True)
    )
    return Checkpoint(first.shape, state, state, {}, int(step), minutes, audio_s)


@torch.no_grad()
def recompute_batch_norms(checkpoint: Checkpoint, inputs: Sequence[Tensor]) -> Checkpoint:
    """The checkpoint with batch norms measured on ``inputs``, each ``(batch, planes, bands, frames)``."""
    network = checkpoint.averaged_network()
    for norm in network.modules():
        if isinstance(norm, nn.BatchNorm2d):
            norm.reset_running_stats()
            norm.momentum = None  # a plain mean over all batches
            norm.train()
    for one in inputs:
        network(one)
    state = dict(network.state_dict())
    return replace(checkpoint, network=state, average=state)


def main() -> None:
    """Reads the command line and writes the checkpoint."""
    parser = argparse.ArgumentParser(description="Averages checkpoints of one origin.")
    parser.add_argument(
        "--checkpoint",
        nargs=2,
        action="append",
        default=[],
        metavar=("CHECKPOINT", "WEIGHT"),
        help="a checkpoint and its weight; repeat it for each",
    )
    parser.add_argument("--ancestor", type=Path, help="the last checkpoint that all of them were trained from")
    # Their names until 0.1.0.
    parser.add_argument("--of", nargs=2, action="append", dest="checkpoint", help=argparse.SUPPRESS)
    parser.add_argument("--since", type=Path, dest="ancestor", help=argparse.SUPPRESS)
    parser.add_argument(
        "--corpus", type=Path, action="append", required=True, help="folder of songs to measure norms on"
    )
    parser.add_argument("--run", type=Path, required=True, help="folder for the checkpoint")
    options = parser.parse_args()
    if not options.checkpoint:
        parser.error("Name the checkpoints and their weights: --checkpoint CHECKPOINT WEIGHT, once for each.")
    path = options.run / "checkpoint.pt"
    if path.exists():
        parser.error(f"{options.run} holds a run already: name another folder.")
    keep_freed_memory()
    ancestor = Checkpoint.load(options.ancestor) if options.ancestor else None
    made = average(
        [Checkpoint.load(Path(one)) for one, _ in options.checkpoint],
        [float(weight) for _, weight in options.checkpoint],
        ancestor,
    )
    song_cache = SongCache([Corpus(root) for root in options.corpus], MEMORY_BYTES, SEED)
    song_cache.refresh()
    dataset = Dataset(song_cache, FRAMES, MixSettings(), SEED)
    made = recompute_batch_norms(made, [dataset.batch(BATCH).seen for _ in range(BATCHES)])
    options.run.mkdir(parents=True, exist_ok=True)
    made.save(path)
    print(f"{path}: {made.minutes:.1f} minutes and {made.audio_s / 3600:.1f} h of audio so far")


if __name__ == "__main__":
    main()
