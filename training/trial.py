"""A trial of so many steps: the same mixes in the same order for every trial, whatever the machine does meanwhile.

    python -m training.trial --corpus training/corpus --steps 60 --run training/runs/base
    python -m training.trial --corpus training/corpus --steps 60 --run training/runs/sparse --mixes sparse
    python -m training.trial --corpus EIGHT_SONGS --steps 100 --run training/runs/overfit --mixes unaugmented
    python -m training.recognition SONGS --checkpoint training/runs/base/checkpoint.pt

``training.compare`` gives designs equal time; on a machine that others use too, only equal data compares. A trial
starts from the kept checkpoint, or from scratch, and a killed one continues where it was two minutes before.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from training.checkpoints import shards
from training.checkpoints.checkpoint import Checkpoint, MovingAverage
from training.checkpoints.grow import with_cue
from training.data import features
from training.data.augmentation import MixSettings
from training.data.cues import CUES
from training.data.dataset import Dataset
from training.data.mixes import MIXES
from training.data.songs import Corpus, SongCache
from training.data.spectrogram import Batch
from training.network.designs import DESIGNS, build
from training.network.loss import band_widths, mask_loss
from training.network.unet import Network, NetworkShape, frame_count
from training.optimise.malloc import keep_freed_memory
from training.optimise.optimiser import Optimiser

KEPT = Path(__file__).parent / "checkpoints" / "kept"
SAVE_S = 120.0


@dataclass(frozen=True)
class TrialSettings:
    """How a trial trains.

    Attributes:
        steps: of the whole trial; batch, frames: mixes of each, and frames of a mix.
        learning_rate: after ten steps; it falls over the second half.
        average: decay of the moving average of the weights, shorter than that of a long run.
        seed: of the first mixes; those of each step have a seed of their own.
    """

    steps: int
    batch: int = 3
    frames: int = 256
    learning_rate: float = 6e-4
    average: float = 0.98
    seed: int = 11

    def learning_rate_at(self, step: int) -> float:
        """The learning rate of a step."""
        return self.learning_rate * min(1.0, (step + 1) / 10) * max(0.03, min(1.0, 2 * (1 - step / self.steps)))


class Trial:
    """A network that learns a fixed series of mixes; ``path`` is its checkpoint, from which it continues."""

    def __init__(self, path: Path, settings: TrialSettings, start: Checkpoint) -> None:
        self.path, self.settings = path, settings
        self.checkpoint = Checkpoint.load(path) if path.exists() else replace(start, optimiser={}, step=0, audio_s=0.0)
        self.network: Network = build(self.checkpoint.shape)
        self.network.load_state_dict(self.checkpoint.network)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in its signatures
        self.optimiser = Optimiser(
            self.network, settings.learning_rate, 1e-2, rank=0, workers=1, all_reduce=lambda values: values
        )
        self.optimiser.load_state_dict(self.checkpoint.optimiser)
        self.average = MovingAverage(self.network.state_dict(), settings.average)
        self.average.state = {name: value.clone() for name, value in self.checkpoint.average.items()}
        self.step = self.checkpoint.step
        self.widths = band_widths(torch.device("cpu"))

    def train_step(self, batch: Batch) -> float:
        """One step; returns its loss."""
        self.optimiser.learning_rate = self.settings.learning_rate_at(self.step)
        self.network.train()
        loss = mask_loss(self.network, batch, self.widths)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.average.update(self.network.state_dict(), self.step)
        self.step += 1
        return float(loss.detach())

    def save(self) -> None:
        """Writes the checkpoint."""
        trained_s = self.step * self.settings.batch * self.settings.frames * features.HOP / features.SAMPLE_RATE_HZ
        state = dict(self.network.state_dict())
        average, optimiser = self.average.state, self.optimiser.state_dict()
        Checkpoint(self.network.shape, state, average, optimiser, self.step, 0.0, trained_s).save(self.path)

    def train(self, song_cache: SongCache, mixes: MixSettings) -> None:
        """Trains to the last step, logs every twentieth and saves every two minutes."""
        settings, losses = self.settings, list[float]()
        cue = CUES[self.network.shape.cue]
        saved, began_s = time.monotonic(), time.process_time()
        while self.step < settings.steps:
            seed = settings.seed * 1_000_003 + self.step
            batch = Dataset(song_cache, settings.frames, mixes, seed, cue=cue).batch(settings.batch)
            losses.append(self.train_step(batch))
            if self.step % 20 == 0 or self.step == settings.steps:
                spent_s = time.process_time() - began_s
                print(f"step {self.step}  loss {np.mean(losses[-20:]):.3f}  processor {spent_s:.0f} s", flush=True)
            if time.monotonic() - saved > SAVE_S or self.step == settings.steps:
                self.save()
                saved = time.monotonic()


def main() -> None:
    """Reads the command line and trains."""
    parser = argparse.ArgumentParser(description="Trains for so many steps on the same mixes as other trials.")
    parser.add_argument("--corpus", type=Path, action="append", required=True, help="folder of songs; may be repeated")
    parser.add_argument("--run", type=Path, required=True, help="folder of the trial")
    parser.add_argument("--steps", type=int, required=True)
    parser.add_argument("--batch", type=int, default=TrialSettings.batch)
    parser.add_argument("--frames", type=frame_count, default=TrialSettings.frames)
    parser.add_argument("--learning-rate", type=float, default=TrialSettings.learning_rate)
    parser.add_argument("--mixes", choices=tuple(MIXES), default="default")
    parser.add_argument("--scratch", choices=tuple(DESIGNS), help="a new network in place of the kept checkpoint")
    parser.add_argument("--cue", choices=tuple(CUES), default="none", help="more to see (training/data/cues.py)")
    parser.add_argument("--memory-gb", type=float, default=2.0, help="for songs")
    options = parser.parse_args()
    keep_freed_memory()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    song_cache = SongCache([Corpus(root) for root in options.corpus], round(options.memory_gb * 1e9), 0)
    song_cache.refresh()
    if not song_cache.training:
        parser.exit(1, "There is no song to train on: render some with python -m training.rendering.corpus.\n")
    start = shards.load(KEPT)
    if options.scratch or start is None:
        network = build(NetworkShape.seeing(options.cue, options.scratch or NetworkShape.design))
        start = Checkpoint(network.shape, network.state_dict(), network.state_dict(), {})
    elif options.cue != "none":
        start = with_cue(start, options.cue)
    settings = TrialSettings(options.steps, options.batch, options.frames, options.learning_rate)
    options.run.mkdir(parents=True, exist_ok=True)
    trial = Trial(options.run / "checkpoint.pt", settings, start)
    print(f"{len(song_cache.training)} songs, {song_cache.seconds / 3600:.2f} hours of stems", flush=True)
    trial.train(song_cache, MIXES[options.mixes])


if __name__ == "__main__":
    main()
