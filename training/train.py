"""Trains the network on the corpus, on a CPU or a GPU; a killed run goes on with ``--resume``.

    python -m training.train --corpus training/corpus --minutes 60 --run training/runs/first
    python -m training.train --corpus training/corpus --minutes 120 --run training/runs/first --resume

A run's folder holds ``checkpoint.pt`` and ``log.csv``. ``--minutes`` counts all parts of a run together: the learning
rate warms up, stays, and falls over the last part, so a run that ended can be prolonged with more minutes.
"""

from __future__ import annotations

import argparse
import csv
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import distributed

from stemwright.cpu_memory_limits import cores
from training.checkpoints.checkpoint import Checkpoint, MovingAverage
from training.data import features
from training.data.augmentation import UNAUGMENTED, MixSettings
from training.data.cues import CUES, NO_CUE, Cue
from training.data.dataset import Dataset
from training.data.mixes import MIXES
from training.data.prefetch import Prefetcher
from training.data.songs import Corpus, SongCache
from training.data.spectrogram import Batch
from training.network.designs import DESIGNS, build
from training.network.loss import band_widths, mask_loss
from training.network.unet import Network, NetworkShape, frame_count
from training.optimise.distributed import exit_with_leader, join_group, launch
from training.optimise.malloc import keep_freed_memory
from training.optimise.optimiser import Optimiser

LOG_COLUMNS = ("step", "minutes", "loss", "audio_s_per_s", "validation_loss", "learning_rate", "stem_hours")
VALIDATION_SEED = 20

SHIPPED = "short-instance-split"
"""The design of the network that ships."""


@dataclass(frozen=True)
class TrainingSettings:
    """How a run trains.

    Attributes:
        minutes: of the whole run, over all its parts.
        batch, frames: mixes per step and frames of each, a multiple of 64.
        learning_rate: after ``warm_up_steps``; it falls to a fiftieth over the last ``decay_fraction`` of the run.
        log_every, validate_every: in steps; validation_batches: of held-out songs, without augmentation.
        save_s, refresh_s: seconds between checkpoints, and between searches for new songs.
        compile: use torch.compile: a minute to start, a third faster.
    """

    minutes: float
    batch: int = 6
    frames: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 1e-2
    warm_up_steps: int = 100
    decay_fraction: float = 0.35
    log_every: int = 25
    validate_every: int = 500
    validation_batches: int = 6
    save_s: float = 120.0
    refresh_s: float = 180.0
    compile: bool = True

    def learning_rate_at(self, step: int, minutes: float) -> float:
        """The learning rate of a step."""
        left = max(0.0, 1 - minutes / self.minutes)
        return (
            self.learning_rate
            * min(1.0, (step + 1) / self.warm_up_steps)
            * max(0.02, min(1.0, left / self.decay_fraction))
        )


class TrainingSongs(Protocol):
    """The songs that a run trains on."""

    @property
    def seconds(self) -> float:
        """Length of all training stems together."""
        ...


HeldOut = Callable[[], Iterable[Batch]]
"""Gives batches of held-out songs without augmentation, the same each time; none if there are no such songs."""


@torch.no_grad()
def mean_loss(network: Network, batches: Iterable[Batch], widths: torch.Tensor) -> float | None:
    """Mean loss of a network in evaluation mode, on the device of ``widths``; None if there are no batches."""
    losses = [mask_loss(network, batch.to(widths.device), widths) for batch in batches]
    return float(torch.stack(losses).mean()) if losses else None


class TrainingRun:
    """One run: the network, its moving average, its optimiser and its folder.

    With several ``workers`` each has its own mixes, and all take the same steps along the mean of their gradients; the
    first one logs and saves.
    """

    def __init__(
        self,
        folder: Path,
        settings: TrainingSettings,
        shape: NetworkShape,
        device: torch.device,
        resume: bool,
        workers: int = 1,
        rank: int = 0,
    ) -> None:
        self.folder, self.settings, self.device, self.workers = folder, settings, device, workers
        torch.manual_seed(0)  # all workers start with the same weights
        self.path = folder / "checkpoint.pt"
        stored = Checkpoint.load(self.path) if resume and self.path.exists() else None
        self.network = build(stored.shape if stored else shape)
        if stored:
            self.network.load_state_dict(stored.network)
        self.network.to(device)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in its signatures
        self.optimiser = Optimiser(
            self.network,
            settings.learning_rate,
            settings.weight_decay,
            rank=rank,
            workers=workers,
            all_reduce=self._all_reduce,
        )
        self.average = MovingAverage(self.network.state_dict())
        self.step, self.minutes, self.audio_s = 0, 0.0, 0.0
        self.warm_from = 0
        if stored:
            if not self.optimiser.load_state_dict(stored.optimiser):  # started without an optimiser's state
                self.warm_from = stored.step
            self.average.state = {name: value.to(device) for name, value in stored.average.items()}
            self.step, self.minutes, self.audio_s = stored.step, stored.minutes, stored.audio_s
        self.widths = band_widths(device)
        self._loss = torch.compile(mask_loss) if settings.compile else mask_loss

    def train_step(self, batch: Batch) -> torch.Tensor:
        """One step; returns its loss."""
        self.optimiser.learning_rate = self.settings.learning_rate_at(self.step - self.warm_from, self.minutes)
        self.network.train()
        loss: torch.Tensor = self._loss(self.network, batch, self.widths)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        if self.workers > 1:
            self._average_gradients()
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.average.update(self.network.state_dict(), self.step)
        self.step += 1
        self.audio_s += (
            len(batch.powers) * batch.powers.shape[-1] * features.HOP * self.workers / features.SAMPLE_RATE_HZ
        )
        return loss.detach()

    def _average_gradients(self) -> None:
        """Replaces the gradients by their mean over all workers."""
        gradients = [value.grad for value in self.network.parameters() if value.grad is not None]
        flat = self._mean(torch.cat([gradient.flatten() for gradient in gradients]))
        means = torch.split(flat, [gradient.numel() for gradient in gradients])
        for gradient, mean in zip(gradients, means, strict=True):
            gradient.copy_(mean.view_as(gradient))

    def _mean(self, values: torch.Tensor) -> torch.Tensor:
        return self._all_reduce(values) / self.workers

    def _all_reduce(self, values: torch.Tensor) -> torch.Tensor:
        if self.workers > 1:
            distributed.all_reduce(values)
        return values

    @torch.no_grad()
    def validate(self, batches: Iterable[Batch]) -> float | None:
        """Loss of the averaged network; None if there are no batches."""
        return mean_loss(self.checkpoint().averaged_network().to(self.device), batches, self.widths)

    def checkpoint(self) -> Checkpoint:
        """The present state of the run."""
        return Checkpoint(
            shape=self.network.shape,
            network=dict(self.network.state_dict()),
            average=self.average.state,
            optimiser=self.optimiser.state_dict(),
            step=self.step,
            minutes=self.minutes,
            audio_s=self.audio_s,
        )

    def save(self) -> None:
        """Writes the checkpoint.

        Raises:
            FloatingPointError: a weight is NaN or infinite. The checkpoint before stays as it is.
        """
        if not all(bool(torch.isfinite(value).all()) for value in self.network.parameters()):
            raise FloatingPointError(
                f"After {self.step} steps weights are NaN or infinite, so {self.path} was not replaced. Continue from "
                "it with --resume and a lower --learning-rate, or with --no-compile."
            )
        self.checkpoint().save(self.path)

    def train(
        self, songs: TrainingSongs, batches: Iterator[Batch], held_out: HeldOut, *, is_follower: bool = False
    ) -> None:
        """Trains until the run's minutes are over. Logs and saves meanwhile, unless ``is_follower``."""
        settings, losses = self.settings, []
        ticked = saved = logged = time.monotonic()
        logged_audio_s = self.audio_s
        while self.minutes < settings.minutes:
            losses.append(self.train_step(next(batches).to(self.device)))
            now = time.monotonic()
            # One clock for all, so that all end at the same step.
            self.minutes += float(self._mean(torch.tensor([now - ticked]))) / 60
            ticked = now
            if is_follower:
                continue
            if self.step % settings.log_every == 0:
                loss = float(torch.stack(losses).mean())
                speed = (self.audio_s - logged_audio_s) / (now - logged)
                validation = self.validate(held_out()) if self.step % settings.validate_every == 0 else None
                self._log(loss, speed, validation, songs.seconds / 3600)
                losses, logged, logged_audio_s = [], time.monotonic(), self.audio_s
            if now - saved > settings.save_s:
                self.save()
                saved = now
        if not is_follower:
            self.save()

    def _log(self, loss: float, speed: float, validation: float | None, hours: float) -> None:
        path = self.folder / "log.csv"
        fresh = not path.exists()
        row = (
            self.step,
            f"{self.minutes:.2f}",
            f"{loss:.4f}",
            f"{speed:.1f}",
            "" if validation is None else f"{validation:.4f}",
            f"{self.optimiser.learning_rate:.2e}",
            f"{hours:.2f}",
        )
        with path.open("a", newline="") as log:
            writer = csv.writer(log)
            if fresh:
                writer.writerow(LOG_COLUMNS)
            writer.writerow(row)
        named = zip(LOG_COLUMNS, row, strict=True)
        print("  ".join(f"{name} {value}" for name, value in named if value), flush=True)


class BatchFeed(Prefetcher[Batch]):
    """Batches from a thread, which also looks for new songs from time to time."""

    def __init__(
        self,
        song_cache: SongCache,
        settings: TrainingSettings,
        mix_settings: MixSettings,
        seed: int,
        cue: Cue = NO_CUE,
    ) -> None:
        super().__init__(3)
        self._dataset = Dataset(song_cache, settings.frames, mix_settings, seed, cue=cue)
        self._settings = settings
        self.start([self._fill])

    def _fill(self) -> None:
        looked = time.monotonic()
        while not self.stopped.is_set():
            if time.monotonic() - looked > self._settings.refresh_s:
                self._dataset.song_cache.refresh()
                looked = time.monotonic()
            self.put(self._dataset.batch(self._settings.batch))


def main() -> None:
    """Reads the command line and trains."""
    parser = argparse.ArgumentParser(description="Trains the twelve-stem network.")
    parser.add_argument("--corpus", type=Path, action="append", required=True, help="folder of songs; may be repeated")
    parser.add_argument("--minutes", type=float, required=True, help="length of the whole run")
    parser.add_argument("--run", type=Path, required=True, help="folder for checkpoint and log")
    parser.add_argument("--resume", action="store_true", help="continue from the folder's checkpoint")
    parser.add_argument("--design", choices=tuple(DESIGNS), default=SHIPPED, help="of the network of a new run")
    parser.add_argument(
        "--cue", choices=tuple(CUES), default="none", help="what a new run sees beside powers (data/cues.py)"
    )
    parser.add_argument("--batch", type=int, default=TrainingSettings.batch, help="mixes per step and worker")
    parser.add_argument(
        "--frames", type=frame_count, default=TrainingSettings.frames, help="frames of a mix, a multiple of 64"
    )
    parser.add_argument("--learning-rate", type=float, default=TrainingSettings.learning_rate)
    parser.add_argument("--mixes", choices=tuple(MIXES), default="default", help="how the mixes are made")
    parser.add_argument("--workers", type=int, default=1, help="processes; on CPUs one per core is fastest")
    parser.add_argument("--threads", type=int, default=0, help="of each process; 0: cores divided by processes")
    parser.add_argument("--memory-gb", type=float, default=6.0, help="memory for songs")
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    parser.add_argument(
        "--no-compile", action="store_true", help="do not use torch.compile: starts at once, runs slower"
    )
    options = parser.parse_args()
    if (path := options.run / "checkpoint.pt").exists():
        if not options.resume:
            parser.error(f"{options.run} holds a run already: add --resume, or name another folder.")
        if (behind := Checkpoint.load(path).minutes) >= options.minutes:
            said = f"{path} was trained for {behind:.1f} minutes, and --minutes includes them: give more to continue."
            print(said, file=sys.stderr)
            return
    options.run.mkdir(parents=True, exist_ok=True)
    launch(run_worker, options)


def run_worker(options: argparse.Namespace, rendezvous: Path, rank: int) -> None:
    """One worker. The first one leads; the others follow and end when it ends."""
    exit_with_leader()
    settings = TrainingSettings(
        minutes=options.minutes,
        batch=options.batch,
        frames=options.frames,
        learning_rate=options.learning_rate,
        compile=not options.no_compile,
    )
    keep_freed_memory()
    torch.set_num_threads(options.threads or max(1, cores() // options.workers))
    # Each worker loads its own part of the songs.
    song_cache = SongCache(
        [Corpus(root) for root in options.corpus], round(options.memory_gb * 1e9 / options.workers), rank
    )
    song_cache.refresh()
    join_group(rendezvous, rank, options.workers)
    shape = NetworkShape.seeing(options.cue, options.design)
    run = TrainingRun(options.run, settings, shape, torch.device(options.device), options.resume, options.workers, rank)
    # A resumed run draws other mixes than before, and each worker other ones.
    cue = CUES[run.network.shape.cue]
    feed = BatchFeed(song_cache, settings, MIXES[options.mixes], run.step * options.workers + rank, cue)

    def held_out() -> Iterator[Batch]:
        dataset = Dataset(song_cache, settings.frames, UNAUGMENTED, VALIDATION_SEED, held_out=True, cue=cue)
        return (dataset.batch(settings.batch) for _ in range(settings.validation_batches if song_cache.held_out else 0))

    run.train(song_cache, iter(feed), held_out, is_follower=rank > 0)
    feed.close()
    if options.workers > 1:
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
