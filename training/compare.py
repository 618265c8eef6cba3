"""Trains designs of the network from nothing, for equal minutes, and says what each has learned.

python -m training.compare --corpus training/corpus --minutes 8 --design unet --songs SONGS
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import median

import torch
from torch import distributed

from stemwright.evaluation.comparisons import ROWS
from training import score
from training.data.augmentation import PLAIN, Mixing
from training.data.dataset import Dataset
from training.data.songs import Bank, Corpus
from training.network.designs import DESIGNS
from training.network.unet import NetworkShape
from training.optimise.distributed import follow_leader, launch, meet
from training.optimise.malloc import keep_memory
from training.train import VALIDATION_SEED, Feed, Recipe, Run, mean_loss

UNETS = {
    "shallow": NetworkShape(),
    "unet": NetworkShape(residuals=(0, 0, 1, 3, 2, 2), gates_from=3),
}


def work(options: argparse.Namespace, meeting: Path, rank: int) -> None:
    """One of the workers; the first one scores at the end."""
    follow_leader()
    keep_memory()
    torch.set_num_threads(1)
    recipe = Recipe(minutes=options.minutes, batch=8, frames=128, validate_every=10**9)
    bank = Bank([Corpus(root) for root in options.corpus], round(options.memory_gb * 1e9 / options.workers), rank)
    bank.refresh()
    meet(meeting, rank, options.workers)
    shape = UNETS.get(options.design, NetworkShape(design=options.design))
    run = Run(options.run, recipe, shape, torch.device("cpu"), False, options.workers, rank)
    feed = Feed(bank, recipe, Mixing(), seed=rank)
    batches = iter(feed)
    run.learn(next(batches))  # compiled before the clock starts
    run.train(bank, batches, lambda: (), follow=rank > 0)
    feed.close()
    if options.workers > 1:
        distributed.barrier()
    if rank:
        return
    torch.set_num_threads(2)
    network = run.checkpoint().averaged_network()
    print(f"{options.design}: {sum(value.numel() for value in network.parameters()) / 1e6:.1f} million weights")
    print(f"{run.step} steps, {run.audio_s / 3600:.2f} h of audio, {run.audio_s / 60 / run.minutes:.0f} s a second")
    for name, mixing in (("as they are", PLAIN), ("one to three stems", Mixing(p_coherent=0, p_sparse=1))):
        held_out = Dataset(bank, 128, mixing, VALIDATION_SEED, held_out=True)
        print(
            f"loss of held-out songs, {name}: {mean_loss(network, (held_out.batch(8) for _ in range(12)), run.widths):.3f}"
        )
    if options.songs:
        scores = score.score(options.songs, lambda mixture: score.separate(network, mixture))
        by_row = {row: [song.sdr_db[row] for song in scores if song.counts and row in song.sdr_db] for row in ROWS}
        print("  ".join(f"{row} {median(values):.2f}" for row, values in by_row.items() if values))


def main() -> None:
    """Reads the command line and trains one design."""
    parser = argparse.ArgumentParser(description="Trains one design from nothing and scores it.")
    parser.add_argument("--design", choices=tuple({**UNETS, **DESIGNS}), required=True)
    parser.add_argument("--corpus", type=Path, action="append", required=True)
    parser.add_argument("--minutes", type=float, default=8)
    parser.add_argument(
        "--workers", type=int, default=2, help="processes; with one each, two designs train side by side"
    )
    parser.add_argument("--memory-gb", type=float, default=4)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--songs", type=Path, help="real recordings to score on")
    options = parser.parse_args()
    options.run.mkdir(parents=True, exist_ok=True)
    launch(work, options)


if __name__ == "__main__":
    main()
