"""One round of training in one command: renders songs, trains on them meanwhile, evaluates, keeps the better network.

    python -m training.round --minutes 8 --songs 2000
    python -m training.round --minutes 8 --songs 2000 --resume

A round starts from the checkpoint in ``training/checkpoints/kept``, else from a network that ships. Songs are stored
and mixed on the device. The folder of the round (``--run``) holds all that a killed round needs to continue, at most
two minutes old. Its network replaces the kept checkpoint only if its loss on held-out songs is lower; every round
writes a row into ``training/log.csv``. With STEMWRIGHT_EVAL_DIR, a folder of ``<song>/<stem>.flac``, the row has
median SDR too.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import json
import os
import platform
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

import torch

from stemwright.cpu_memory_limits import cores
from stemwright.evaluation.comparisons import ROWS
from training import score
from training.checkpoints import from_onnx, shards
from training.checkpoints.checkpoint import Checkpoint, StateDict
from training.data.augmentation import UNAUGMENTED, MixSettings
from training.data.device_dataset import DeviceDataset, DeviceFeed
from training.data.device_songs import DeviceSongs
from training.data.songs import Corpus
from training.data.spectrogram import Batch
from training.network.designs import build
from training.network.unet import MIN_FRAMES, NetworkShape, frame_count
from training.optimise.malloc import keep_freed_memory
from training.rendering.background import BackgroundRenderer, render_in_background
from training.train import VALIDATION_SEED, TrainingRun, TrainingSettings, mean_loss

TRAINING = Path(__file__).parent
SHAPES = {
    "split": NetworkShape(design="split"),
    "short-instance-split": NetworkShape(design="short-instance-split"),
    "instance-split": NetworkShape(design="instance-split"),
    "large-split": NetworkShape(design="large-split"),
    "unet": NetworkShape(),
    "wide": NetworkShape(widths=(48, 96, 144, 240, 320, 384)),
}
"""Designs by name; ``short-instance-split`` ships. ``wide`` is a U-Net of 18 million weights, too big to ship."""

FIRST_SONGS = 12
"""Training starts with this many songs, or when rendering has ended."""

SEEDS_A_ROUND = 10_000
DECAY_FRACTION = 0.35
EVALUATION = "STEMWRIGHT_EVAL_DIR"
LOG_COLUMNS = (
    "date", "device", "weights_m", "minutes", "audio_hours", "audio_hours_in_all", "audio_s_per_s", "songs", "stem_hours",
    "held_out_songs", "held_out_loss_before", "held_out_loss", "kept", *ROWS,
)  # fmt: skip


class RoundError(RuntimeError):
    """A round cannot continue; the message says what to do."""


@dataclass(frozen=True)
class RoundStart:
    """The start of a round: minutes and audio of the run before it, and the seed of its first song."""

    minutes: float
    audio_s: float
    first: int


@dataclass(frozen=True)
class RoundResult:
    """The result of a round: mean loss on held-out songs before and after it; median SDR in dB by row."""

    before: float | None
    after: float | None
    sdr_db: dict[str, float]

    @property
    def better(self) -> bool:
        """Whether the loss on held-out songs, if there are any, is lower than before."""
        return self.before is None or self.after is None or self.after < self.before


class Round(TrainingRun):
    """A run that also writes its checkpoint as small files, to be copied off a machine that may be taken away."""

    def save(self) -> None:
        """Writes the checkpoint, as one file and as shards."""
        super().save()
        shards.save(self.checkpoint(), self.folder / "pieces")


def batch_size(device: torch.device, shape: NetworkShape, frames: int) -> int:
    """Mixes per step: as many as fit into half of a GPU's free memory, 8 to 96; 6 on a CPU."""
    if device.type != "cuda":
        return TrainingSettings.batch
    free_bytes, _ = torch.cuda.mem_get_info(device)
    # 350 MB a mix of 256 frames: masks and losses in float32, 12 stems; activations of the network; its gradients.
    per_mix = 1.4e6 * frames * (0.6 + 0.4 * shape.widths[0] / NetworkShape().widths[0])
    return max(8, min(96, int(free_bytes / 2 / per_mix) // 8 * 8))


def memory_bytes(device: torch.device) -> int:
    """Memory for songs: a third of a GPU's free memory, or 6 GB."""
    return int(torch.cuda.mem_get_info(device)[0] / 3) if device.type == "cuda" else 6 * 10**9


def device_name(device: torch.device) -> str:
    """Name of the device in the log."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else f"{cores()} cores {platform.machine()}"


def wait_for_songs(device_songs: DeviceSongs, corpus: Corpus, songs: BackgroundRenderer | None) -> None:
    """Loads songs until there are enough composed ones to start, since recordings have no singing.

    Raises:
        RoundError: there are none.
    """
    device_songs.refresh()
    while songs and songs.running and sum(1 for _ in corpus.songs()) < FIRST_SONGS:
        time.sleep(1)
        device_songs.refresh()
    if not device_songs.training:
        reason = songs and songs.failure_message()
        raise RoundError(reason or "There is no song to train on: name a --corpus that has some, or --songs to render.")


def initial_checkpoint(checkpoints: Path, shape: NetworkShape | None, dataset: DeviceDataset) -> Checkpoint | None:
    """The checkpoint that a round starts from: the kept one, else a shipped network; None if neither has ``shape``."""
    last = shards.load(checkpoints)
    if last and shape in (None, last.shape):
        return last
    if shape is None or shape in from_onnx.shipped_shapes():
        batches = [dataset.batch(8) for _ in range(from_onnx.CALIBRATION_BATCHES)]
        return from_onnx.shipped_checkpoint(batches, shape.design if shape else None)
    return None


def held_out(device_songs: DeviceSongs, settings: TrainingSettings) -> Iterator[Batch]:
    """Batches of held-out songs without augmentation; the same each time, as long as no song is added."""
    dataset = DeviceDataset(device_songs, settings.frames, UNAUGMENTED, VALIDATION_SEED, held_out=True)
    return (dataset.batch(settings.batch) for _ in range(settings.validation_batches if device_songs.held_out else 0))


def train(
    folder: Path,
    device_songs: DeviceSongs,
    settings: TrainingSettings,
    shape: NetworkShape | None,
    checkpoints: Path,
    first: int,
    resume: bool,
) -> tuple[Round, RoundStart, StateDict]:
    """Trains for a round; returns the run, its start, and the average that it started with.

    ``settings.minutes`` are those of the round alone; a resumed round trains for the rest of them.
    """
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
    if not resume:
        checkpoint = initial_checkpoint(checkpoints, shape, DeviceDataset(device_songs, MIN_FRAMES, MixSettings(), 0))
        if checkpoint is None:
            network = build(shape or NetworkShape())
            print(
                f"Starts from scratch: neither {checkpoints} nor the package has such a '{network.shape.design}'.",
                flush=True,
            )
            checkpoint = Checkpoint(network.shape, network.state_dict(), network.state_dict(), {})
        folder.mkdir(parents=True, exist_ok=True)
        checkpoint.save(folder / "start.pt")
        (folder / "start.json").write_text(
            json.dumps(asdict(RoundStart(checkpoint.minutes, checkpoint.audio_s, first)))
        )
        checkpoint.save(folder / "checkpoint.pt")
    start = RoundStart(**json.loads((folder / "start.json").read_text()))
    before = Checkpoint.load(folder / "start.pt")
    if not settings.batch:
        settings = replace(settings, batch=batch_size(device_songs.device, before.shape, settings.frames))
    # The learning rate falls at the end of the round, however long the run has been.
    whole = replace(
        settings,
        minutes=start.minutes + settings.minutes,
        decay_fraction=DECAY_FRACTION * settings.minutes / (start.minutes + settings.minutes),
    )
    run = Round(folder, whole, before.shape, device_songs.device, resume=True)
    feed = DeviceFeed(
        DeviceDataset(device_songs, whole.frames, MixSettings(), seed=run.step), whole.batch, whole.refresh_s
    )
    try:
        run.train(device_songs, feed, lambda: held_out(device_songs, whole))
    finally:
        feed.close()
    return run, start, before.average


def evaluate(run: Round, device_songs: DeviceSongs, before: StateDict, recordings: Path | None) -> RoundResult:
    """Compares a run with the average that it started with, on held-out songs; scores it on recordings."""
    old = replace(run.checkpoint(), average=before).averaged_network().to(device_songs.device)
    losses = [
        mean_loss(network, held_out(device_songs, run.settings), run.widths)
        for network in (old, run.checkpoint().averaged_network().to(device_songs.device))
    ]
    if recordings is None:
        return RoundResult(losses[0], losses[1], {})
    network = run.checkpoint().averaged_network().cpu()
    scores = score.score(recordings, lambda mixture: score.separate(network, mixture))
    print(score.table(scores), score.confusion(scores), sep="\n\n", flush=True)
    by_row = {name: [song.sdr_db[name] for song in scores if song.counts and name in song.sdr_db] for name in ROWS}
    return RoundResult(losses[0], losses[1], {name: median(values) for name, values in by_row.items() if values})


def write_row(path: Path, run: Round, start: RoundStart, outcome: RoundResult, device_songs: DeviceSongs) -> None:
    """Adds the round to the log."""
    minutes, audio_s = run.minutes - start.minutes, run.audio_s - start.audio_s
    values: dict[str, object] = {
        "date": datetime.now(UTC).isoformat(timespec="minutes"),
        "device": device_name(device_songs.device),
        "weights_m": f"{sum(value.numel() for value in run.network.parameters()) / 1e6:.2f}",
        "minutes": f"{minutes:.2f}",
        "audio_hours": f"{audio_s / 3600:.2f}",
        "audio_hours_in_all": f"{run.audio_s / 3600:.2f}",
        "audio_s_per_s": f"{audio_s / 60 / max(minutes, 1e-9):.0f}",
        "songs": len(device_songs.training),
        "stem_hours": f"{device_songs.seconds / 3600:.2f}",
        "held_out_songs": len(device_songs.held_out),
        "held_out_loss_before": "" if outcome.before is None else f"{outcome.before:.4f}",
        "held_out_loss": "" if outcome.after is None else f"{outcome.after:.4f}",
        "kept": "yes" if outcome.better else "no",
        **{name: f"{value:.2f}" for name, value in outcome.sdr_db.items()},
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = not path.exists()
    with path.open("a", newline="") as log:
        writer = csv.DictWriter(log, LOG_COLUMNS)
        if fresh:
            writer.writeheader()
        writer.writerow(values)
    print("  ".join(f"{name} {value}" for name, value in values.items() if value != ""), flush=True)


def first_seed(log: Path) -> int:
    """Seed of the first song of the next round: each round has other songs."""
    rounds = len(log.read_text().splitlines()) - 1 if log.exists() else 0
    return SEEDS_A_ROUND * (1 + rounds)


def main(arguments: Sequence[str] | None = None) -> None:
    """Reads the command line and trains for a round."""
    parser = argparse.ArgumentParser(description="One round of training: songs, training, evaluation, checkpoint, log.")
    parser.add_argument("--minutes", type=float, required=True, help="of training; songs are rendered meanwhile")
    parser.add_argument(
        "--corpus", type=Path, default=TRAINING / "corpus", help="folder of songs; new songs are added to it"
    )
    parser.add_argument(
        "--recordings", type=Path, action="append", default=[], help="folder of songs beside them; may be repeated"
    )
    parser.add_argument("--songs", type=int, default=0, help="songs to render")
    parser.add_argument("--first", type=int, help="seed of the first song; another one in each round if not given")
    parser.add_argument("--render-workers", type=int, default=max(1, cores() - 2), help="processes")
    parser.add_argument("--device", choices=("auto", "cuda", "cpu"), default="auto")
    parser.add_argument("--shape", choices=tuple(SHAPES), help="of the network; that of the checkpoint if not given")
    parser.add_argument("--batch", type=int, default=0, help="mixes per step; 0: as the memory of the device allows")
    parser.add_argument(
        "--frames", type=frame_count, default=TrainingSettings.frames, help="frames of a mix, a multiple of 64"
    )
    parser.add_argument("--learning-rate", type=float, default=TrainingSettings.learning_rate)
    parser.add_argument("--memory-gb", type=float, default=0, help="for songs; 0: as the memory of the device allows")
    parser.add_argument(
        "--checkpoints",
        type=Path,
        default=TRAINING / "checkpoints" / "kept",
        help="folder of the checkpoint to start from",
    )
    parser.add_argument("--out", type=Path, help="folder for a better checkpoint; --checkpoints if not given")
    parser.add_argument("--log", type=Path, default=TRAINING / "log.csv")
    parser.add_argument("--run", type=Path, default=TRAINING / "runs" / "round", help="folder of the round")
    parser.add_argument("--resume", action="store_true", help="continue the round in --run")
    parser.add_argument(
        "--no-compile", action="store_true", help="do not use torch.compile: starts at once, runs slower"
    )
    options = parser.parse_args(arguments)
    begun = options.run / "start.json"
    if options.resume and not begun.exists():
        parser.error(f"{options.run} holds no round to continue: leave out --resume.")
    judging = Path(os.environ[EVALUATION]) if os.environ.get(EVALUATION) else None
    if judging and not judging.is_dir():
        parser.error(f"{EVALUATION} names {judging}, which is no folder: unset it, or name a folder of songs.")
    if wrong := next((folder for folder in options.recordings if not folder.is_dir()), None):
        parser.error(f"--recordings names {wrong}, which is no folder: scripts/recordings {wrong} makes one.")
    keep_freed_memory()
    chosen = ("cuda" if torch.cuda.is_available() else "cpu") if options.device == "auto" else options.device
    device = torch.device(chosen)
    options.run.mkdir(parents=True, exist_ok=True)
    options.corpus.mkdir(parents=True, exist_ok=True)
    first = options.first if options.first is not None else first_seed(options.log)
    if options.resume:
        first = RoundStart(**json.loads(begun.read_text())).first
    settings = TrainingSettings(
        minutes=options.minutes,
        batch=options.batch,
        frames=options.frames,
        learning_rate=options.learning_rate,
        refresh_s=20.0,
        save_s=60.0,
        log_every=200 if chosen == "cuda" else TrainingSettings.log_every,
        validate_every=1000 if chosen == "cuda" else TrainingSettings.validate_every,
        compile=not options.no_compile,
    )
    corpus = Corpus(options.corpus)
    device_songs = DeviceSongs(
        [corpus, *map(Corpus, options.recordings)], round(options.memory_gb * 1e9) or memory_bytes(device), device
    )
    with contextlib.ExitStack() as stack:
        songs: BackgroundRenderer | None = None
        if options.songs:
            log = options.run / "rendering.log"
            workers = options.render_workers
            songs = stack.enter_context(render_in_background(options.corpus, first, options.songs, workers, log))
        try:
            wait_for_songs(device_songs, corpus, songs)
            shape = SHAPES[options.shape] if options.shape else None
            run, start, before = train(
                options.run, device_songs, settings, shape, options.checkpoints, first, options.resume
            )
        except (RoundError, shards.DamagedError) as error:
            parser.exit(1, f"{error}\n")
        if songs and (reason := songs.failure_message()):
            print(reason, flush=True)
    if device_songs.full:
        print("Some songs were left out, for the memory for songs is full: --memory-gb gives more.", flush=True)
    outcome = evaluate(run, device_songs, before, judging)
    write_row(options.log, run, start, outcome, device_songs)
    if outcome.better:
        for path in shards.save(run.checkpoint(), options.out or options.checkpoints):
            print(f"{path}: {path.stat().st_size} bytes")
    else:
        print(f"The loss on held-out songs was lower before: the new checkpoint stays in {options.run / 'pieces'}.")


if __name__ == "__main__":
    main()
