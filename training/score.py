"""Scores a checkpoint on real songs with known stems. For choosing, never for training.

    python -m training.score training/runs/first/checkpoint.pt FOLDER
    python -m training.score ONE/checkpoint.pt OTHER/checkpoint.pt FOLDER    # both, as an ensemble

Each song of FOLDER (``<song>/<stem>.flac``) is mixed, goes through the network in overlapping chunks, and comes back
through masks spread from bands to bins. Printed are the median SDR in dB of every row of the evaluation beside that of
the mix itself, and where the energy of each true stem went, in percent. ``stemwright evaluate`` measures what ships;
this measures a checkpoint without exporting it. With ``--alone`` each stem goes through the network by itself: what is
lost then was not recognised, and no overlap is to blame.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stemwright.evaluation.comparisons import ROWS, comparisons
from stemwright.evaluation.confusion import energy_shares
from stemwright.evaluation.reference_songs import ReferenceSong, find_songs
from stemwright.evaluation.sdr import sdr_db
from stemwright.evaluation.stft_stream import samples, spectra
from stemwright.models.bands import BANDS_384
from stemwright.models.runtimes.onnx import CHUNK_FRAMES
from stemwright.separation.overlap_add import mirrored_indices
from stemwright.stems import STEMS
from training.checkpoints.checkpoint import Checkpoint
from training.checkpoints.inference import add_arguments, build_ensemble
from training.data import features
from training.data.cues import network_input
from training.network import logit_bias
from training.network.unet import FRAME_MULTIPLE, MIN_FRAMES, frame_count
from training.optimise.malloc import keep_freed_memory

Audio = NDArray[np.float32]


@dataclass(frozen=True)
class SongScore:
    """One song: SDR of each row in dB, of the estimates and of the mix; shares of each true stem's energy."""

    name: str
    counts: bool
    sdr_db: dict[str, float]
    mix_db: dict[str, float]
    shares: dict[str, NDArray[np.float64]]


Separate = Callable[[Audio], Audio]
"""A mixture ``(2, samples)`` -> estimates ``(12, 2, samples)``."""


@torch.no_grad()
def masks(network: nn.Module, seen: Tensor, chunk: int = CHUNK_FRAMES) -> Tensor:
    """Masks of a whole song: features ``(planes, bands, frames)`` -> ``(12, 2, bands, frames)``, in cross-faded chunks."""
    frames = seen.shape[-1]
    overlap = chunk // 4
    stride = chunk - overlap
    chunks = max(1, -(-(frames - overlap) // stride))
    fade = torch.ones(chunk)
    fade[:overlap] = torch.linspace(0, 1, overlap + 2)[1:-1]
    fade = torch.minimum(fade, fade.flip(0))
    end = chunks * stride + overlap
    total, weights = torch.zeros(len(STEMS), 2, BANDS_384.n_bands, end), torch.zeros(end)
    for start in range(0, chunks * stride, stride):
        # The end is mirrored, as the separator pads it.
        places = mirrored_indices(min(chunk, frames - start), chunk)
        chunk_masks = network(seen[None, ..., start + places])[0].softmax(0)
        total[..., start : start + chunk] += chunk_masks * fade
        weights[start : start + chunk] += fade
    return (total / weights)[..., :frames]


def separate(network: nn.Module, mixture: Audio, chunk: int = CHUNK_FRAMES, cue: str = "none") -> Audio:
    """``(2, samples)`` -> ``(12, 2, samples)``, by a network that was trained with that cue."""
    spectrum = np.concatenate([block[0] for block in spectra([mixture[np.newaxis]])], axis=1)  # (2, frames, bins)
    seen = network_input(torch.from_numpy(spectrum), cue)
    # (12, 2, bands, frames) -> (12, 2, frames, bands)
    banded = masks(network, seen, chunk).transpose(-1, -2).numpy()
    band_of_bin = BANDS_384.band_of_bins(features.N_FFT, features.SAMPLE_RATE_HZ)
    estimates = [np.concatenate(list(samples([mask[..., band_of_bin] * spectrum])), axis=-1) for mask in banded]
    return np.stack(estimates)[..., : mixture.shape[-1]]


def score_song(song: ReferenceSong, separated_by: Separate) -> SongScore:
    """Mixes, separates and scores one song of 44.1 kHz.

    Raises:
        ValueError: the song has another rate.
    """
    if song.sample_rate != features.SAMPLE_RATE_HZ:
        raise ValueError(f"{song.name} has {song.sample_rate} Hz; songs to score have {features.SAMPLE_RATE_HZ} Hz.")
    blocks = np.concatenate(list(song.blocks()), axis=-1)
    true = np.broadcast_to(blocks, (len(blocks), 2, blocks.shape[-1]))
    mixture = np.asarray(true.sum(0))
    estimates = separated_by(mixture)
    by_name = dict(zip(song.stems, true, strict=True))
    sdr: dict[str, float] = {}
    mix: dict[str, float] = {}
    for row in comparisons(tuple(song.stems), STEMS):
        reference = np.sum([by_name[name] for name in row.references], axis=0)
        estimate = np.sum([estimates[STEMS.index(name)] for name in row.estimates], axis=0)
        found, without = sdr_db(reference, estimate), sdr_db(reference, mixture)
        if found is not None and without is not None:
            sdr[row.name], mix[row.name] = found, without
    shares = energy_shares([np.concatenate([true, estimates])], len(true))
    return SongScore(song.name, not song.is_one_stem, sdr, mix, dict(zip(song.stems, shares, strict=True)))


def score(folder: Path, separated_by: Separate, *, alone: bool = False) -> tuple[SongScore, ...]:
    """Scores all songs of a folder; with ``alone`` each stem is scored as a song of its own, to measure recognition."""
    songs = find_songs(folder)
    if alone:
        songs = tuple(
            replace(song, name=f"{song.name}/{stem}", stems={stem: files})
            for song in songs
            for stem, files in song.stems.items()
            if stem in STEMS
        )
    return tuple(score_song(song, separated_by) for song in songs)


def table(scores: Sequence[SongScore]) -> str:
    """Median SDR of each row, beside that of the mix; songs with one stem do not count."""
    lines = [f"{'':16}{'songs':>6}{'SDR':>8}{'mix':>8}   each song"]
    for name in ROWS:
        held = [song for song in scores if song.counts and name in song.sdr_db]
        if held:
            each = " ".join(f"{song.sdr_db[name]:.1f}" for song in held)
            estimate, mix = (
                median(values) for values in zip(*((s.sdr_db[name], s.mix_db[name]) for s in held), strict=True)
            )
            lines.append(f"{name:16}{len(held):6}{estimate:8.2f}{mix:8.2f}   {each}")
    return "\n".join(lines)


def confusion(scores: Sequence[SongScore]) -> str:
    """Energy of each true stem by estimate, in percent, mean over songs: rows true, columns estimated."""
    rows: dict[str, list[NDArray[np.float64]]] = defaultdict(list)
    for song in scores:
        for stem, shares in song.shares.items():
            rows[stem].append(shares)
    lines = [" " * 16 + "".join(f"{stem[:6]:>7}" for stem in STEMS)]
    for stem in (stem for stem in STEMS if stem in rows):
        lines.append(f"{stem:16}" + "".join(f"{100 * share:7.0f}" for share in np.mean(rows[stem], axis=0)))
    return "\n".join(lines)


def main() -> None:
    """Reads the command line, scores and prints."""
    parser = argparse.ArgumentParser(description="Scores a checkpoint on songs with known stems.")
    add_arguments(parser)
    parser.add_argument("folder", type=Path, help="<song>/<stem>.flac")
    parser.add_argument("--alone", action="store_true", help="separate each stem by itself: is it recognised?")
    parser.add_argument(
        "--frames",
        type=frame_count,
        default=CHUNK_FRAMES,
        help=f"frames per chunk, a multiple of {FRAME_MULTIPLE}, at least {MIN_FRAMES}",
    )
    options = parser.parse_args()
    keep_freed_memory()
    checkpoints = [Checkpoint.load(path) for path in options.checkpoints]
    for one in checkpoints:
        print(
            f"{one.shape.design}: step {one.step}, {one.minutes:.1f} minutes, {one.audio_s / 3600:.1f} hours of audio"
        )
    try:
        network = build_ensemble(checkpoints, logit_bias.from_options(options), options.weight, options.onset_prior)
    except ValueError as error:
        parser.error(str(error))
    cue = checkpoints[0].shape.cue
    scores = score(options.folder, lambda mixture: separate(network, mixture, options.frames, cue), alone=options.alone)
    print(*([] if options.alone else [table(scores)]), confusion(scores), sep="\n\n")


if __name__ == "__main__":
    main()
