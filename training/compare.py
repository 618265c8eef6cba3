"""Trains a design of the network from scratch for some minutes and scores it, to compare designs at equal time.

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
from training.data.augmentation import UNAUGMENTED, MixSettings
from training.data.dataset import Dataset
from training.data.songs import Corpus, SongCache
from training.network.designs import DESIGNS
from training.network.unet import NetworkShape
from training.optimise.distributed import exit_with_leader, join_group, launch
from training.optimise.malloc import keep_freed_memory
from training.train import VALIDATION_SEED, BatchFeed, TrainingRun, TrainingSettings, mean_loss

UNETS = {
    "shallow": NetworkShape(),
    "unet": NetworkShape(residuals=(0, 0, 1, 3, 2, 2), gates_from=3),
}


def run_worker(options: argparse.Namespace, rendezvous: Path, rank: int) -> None:
    """One worker; the first one scores at the end."""
    exit_with_leader()
    keep_freed_memory()
    torch.set_num_threads(1)
    settings = TrainingSettings(minutes=options.minutes, batch=8, frames=128, validate_every=10**9)
    song_cache = SongCache(
        [Corpus(root) for root in options.corpus], round(options.memory_gb * 1e9 / options.workers), rank
    )
    song_cache.refresh()
    join_group(rendezvous, rank, options.workers)
    shape = UNETS.get(options.design, NetworkShape(design=options.design))
    run = TrainingRun(options.run, settings, shape, torch.device("cpu"), False, options.workers, rank)
    feed = BatchFeed(song_cache, settings, MixSettings(), seed=rank)
    batches = iter(feed)
    run.train_step(next(batches))  # compiled before the clock starts
    run.train(song_cache, batches, lambda: (), is_follower=rank > 0)
    feed.close()
    if options.workers > 1:
        distributed.barrier()
    if rank:
        return
    torch.set_num_threads(2)
    network = run.checkpoint().averaged_network()
    print(f"{options.design}: {sum(value.numel() for value in network.parameters()) / 1e6:.1f} million weights")
    print(f"{run.step} steps, {run.audio_s / 3600:.2f} h of audio, {run.audio_s / 60 / run.minutes:.0f} s a second")
    for name, mix_settings in (
        ("as they are", UNAUGMENTED),
        ("one to three stems", MixSettings(p_coherent=0, p_sparse=1)),
    ):
        held_out = Dataset(song_cache, 128, mix_settings, VALIDATION_SEED, held_out=True)
        print(
            f"loss of held-out songs, {name}: {mean_loss(network, (held_out.batch(8) for _ in range(12)), run.widths):.3f}"
        )
    if options.songs:
        scores = score.score(options.songs, lambda mixture: score.separate(network, mixture))
        by_row = {row: [song.sdr_db[row] for song in scores if song.counts and row in song.sdr_db] for row in ROWS}
        print("  ".join(f"{row} {median(values):.2f}" for row, values in by_row.items() if values))


def main() -> None:
    """Reads the command line and trains one design."""
    parser = argparse.ArgumentParser(description="Trains one design from scratch and scores it.")
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
    launch(run_worker, options)


if __name__ == "__main__":
    main()
