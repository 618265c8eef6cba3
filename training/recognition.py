"""Measures recognition of instruments: scores in bands, without resynthesis, so that a song costs one forward pass.

    python -m training.recognition FOLDER                    # the network in the wheel on <song>/<stem>.flac
    python -m training.recognition FOLDER --alone            # each stem by itself, its loudest nine seconds
    python -m training.recognition FOLDER --pairs 80         # pairs of stems at equal loudness
    python -m training.recognition FOLDER --checkpoint training/runs/next/checkpoint.pt --logit-bias fx=-2

Printed are median SDR in dB and the percentage of each true stem's energy that each estimate has: with the masks as
they are, with true presence given (masks of absent stems zero, as with ``--playing``), and with more of the truth
given, which says what a network would gain by knowing it. A mask is constant in a band and a frame, so that SDR
follows from sums over bands; it differs from that of the audio by up to 0.1 dB.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean, median

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stemwright.evaluation.comparisons import comparisons
from stemwright.evaluation.reference_songs import ReferenceSong, find_songs
from stemwright.models import registry, weight_store
from stemwright.models.bands import BANDS_384
from stemwright.separation.playing_masks import silence_absent
from stemwright.stems import STEMS
from training import score
from training.checkpoints.checkpoint import Checkpoint
from training.checkpoints.inference import build_ensemble
from training.data import features
from training.data.cues import network_input
from training.network import logit_bias
from training.network.unet import frame_count
from training.optimise.malloc import keep_freed_memory

Audio = NDArray[np.float32]

RARE = ("guitar", "keyboard", "strings", "brass", "woodwinds", "percussion", "synth", "fx")
"""The stems other than vocals, drums and bass."""

CUT_FRAMES = 384
"""Length of the cuts for ``--alone`` and ``--pairs``: one chunk of the network in the wheel, 8.9 s."""

LEVEL = 0.1
"""RMS of such a cut."""

SILENT = 1e-9
"""Energy below which a stem does not count."""


@dataclass(frozen=True)
class BandedMix:
    """A mix and its true stems as sums over bands.

    Attributes:
        stems: names of the true stems.
        powers: of the mix, left, right, middle and side, ``(4, bands, frames)``.
        seen: the network's input, ``(planes, bands, frames)``.
        agreement: ``Re(S X*)`` of each stem with the mix, the mean over each band, ``(stems, 2, bands, frames)``.
        energy: ``|S|^2`` of each stem, shaped alike.
    """

    stems: tuple[str, ...]
    powers: Tensor
    seen: Tensor
    agreement: Tensor
    energy: Tensor

    @classmethod
    def of(cls, stems: Mapping[str, Audio], cue: str = "none") -> BandedMix:
        """Analyses true stems ``(2, samples)`` for a network that was trained with that cue."""
        spectra = torch.stack([features.spectrum(torch.from_numpy(audio)) for audio in stems.values()])
        mix = spectra.sum(0)  # (2, frames, bins)
        return cls(
            tuple(stems),
            features.planes(mix),
            network_input(mix, cue),
            torch.stack([features.band_cross_power(stem, mix).transpose(-1, -2) for stem in spectra]),
            torch.stack([features.band_power(stem).transpose(-1, -2) for stem in spectra]),
        )

    @property
    def is_labelled(self) -> bool:
        """Whether it is known which of the twelve stems play."""
        return set(self.stems) <= set(STEMS)

    def given_presence(self, masks: Tensor) -> Tensor:
        """Masks ``(12, 2, bands, frames)`` of a song whose stems are known (``separate --playing``)."""
        known = masks.permute(3, 0, 1, 2).numpy().copy()  # (frames, 12, 2, bands)
        silence_absent(known, STEMS, self.stems)
        return torch.from_numpy(known).permute(1, 2, 3, 0)

    def magnitudes(self) -> Tensor:
        """True magnitudes of the twelve stems, ``(12, 2, bands, frames)``."""
        true = torch.zeros(len(STEMS), *self.energy.shape[1:])
        for name, energy in zip(self.stems, self.energy, strict=True):
            true[STEMS.index(name)] = energy.sqrt()
        return true

    def ideal_masks(self) -> Tensor:
        """The ideal ratio masks, ``(12, 2, bands, frames)``."""
        true = self.magnitudes() + 1e-12
        return true / true.sum(0, keepdim=True)

    def given_means(self, masks: Tensor, dims: tuple[int, ...]) -> Tensor:
        """Masks scaled so that the mean magnitude of each estimate over ``dims`` is the true one, then renormalised."""
        true = self.magnitudes()
        estimated = (masks * self.powers[:2].sqrt()).mean(dims, keepdim=True)
        scaled = masks * (true.mean(dims, keepdim=True) / estimated.clamp_min(1e-9)) + 1e-12
        return scaled / scaled.sum(0, keepdim=True)

    def sdr_db(self, masks: Tensor) -> dict[str, float]:
        """SDR of each row of the evaluation. Stems that are summed in a row are taken for uncorrelated."""
        found: dict[str, float] = {}
        for row in comparisons(self.stems, STEMS):
            true = [self.stems.index(name) for name in row.references]
            mask = masks[[STEMS.index(name) for name in row.estimates]].sum(0)
            energy = self.energy[true].sum(0)
            error = mask.square() * self.powers[:2] - 2 * mask * self.agreement[true].sum(0) + energy
            reference = _total(energy)
            if reference > SILENT:
                found[row.name] = float(10 * np.log10(reference / max(_total(error), SILENT)))
        return found

    def shares(self, masks: Tensor) -> dict[str, NDArray[np.float64]]:
        """How the energy of each true stem is divided among the estimates, ``(12,)`` each."""
        found: dict[str, NDArray[np.float64]] = {}
        for name, energy in zip(self.stems, self.energy, strict=True):
            if _total(energy) > SILENT:
                parts = np.array([_total(mask * energy) for mask in masks])
                found[name] = parts / parts.sum()
        return found


def _total(energy: Tensor) -> float:
    """Sum over channels, bands and frames; each band counts as many times as it has bins."""
    return float((energy * torch.from_numpy(BANDS_384.widths).float()[:, None]).sum())


def whole_songs(songs: Iterable[ReferenceSong], longest_s: float) -> Iterator[dict[str, Audio]]:
    """The true stems of each song that has several, ``(2, samples)``, at most so long."""
    for song in songs:
        if not song.is_one_stem:
            yield dict(_read(song, longest_s))


def alone(songs: Iterable[ReferenceSong], longest_s: float) -> Iterator[dict[str, Audio]]:
    """Each stem by itself: its loudest cut, all equally loud."""
    for song in songs:
        for name, audio in _read(song, longest_s):
            cut = _loudest(audio)
            loudness = float(np.sqrt(np.mean(cut**2)))
            if name in STEMS and loudness > 1e-4:
                yield {name: cut * np.float32(LEVEL / loudness)}


def pairs(songs: Iterable[ReferenceSong], longest_s: float, count: int, seed: int = 5) -> Iterator[dict[str, Audio]]:
    """Pairs of such cuts of different stems, drawn at random."""
    cuts = list(alone(songs, longest_s))
    rng = np.random.default_rng(seed)
    if len({name for cut in cuts for name in cut}) < 2:
        return
    made = 0
    while made < count:
        first, second = cuts[int(rng.integers(len(cuts)))], cuts[int(rng.integers(len(cuts)))]
        if first.keys() != second.keys():
            made += 1
            yield {**first, **second}


def _read(song: ReferenceSong, longest_s: float) -> list[tuple[str, Audio]]:
    if song.sample_rate != features.SAMPLE_RATE_HZ:
        raise ValueError(f"{song.name} has {song.sample_rate} Hz; songs to score have {features.SAMPLE_RATE_HZ} Hz.")
    blocks: list[Audio] = []
    length = 0
    for block in song.blocks():
        blocks.append(block)
        length += block.shape[-1]
        if length >= longest_s * song.sample_rate:
            break
    audio = np.concatenate(blocks, axis=-1)[..., : round(longest_s * song.sample_rate)]
    pair = np.broadcast_to(audio, (len(audio), 2, audio.shape[-1]))  # one channel becomes two
    return list(zip(song.stems, np.array(pair), strict=True))


def _loudest(audio: Audio) -> Audio:
    """The loudest cut of ``(2, samples)``, zeros behind what is shorter."""
    length = features.frames_to_samples(CUT_FRAMES)
    power = np.concatenate([[0.0], np.cumsum(np.square(audio, dtype=np.float64).sum(0))])
    starts = np.arange(0, max(1, audio.shape[-1] - length), features.HOP)
    start = int(starts[np.argmax(power[np.minimum(starts + length, audio.shape[-1])] - power[starts])])
    cut = audio[:, start : start + length]
    return np.pad(cut, ((0, 0), (0, length - cut.shape[-1])))


@dataclass
class Findings:
    """SDR in dB by row, and shares of energy by true stem, of each mix."""

    sdr_db: list[dict[str, float]] = field(default_factory=list)
    shares: list[dict[str, NDArray[np.float64]]] = field(default_factory=list)

    def add(self, mix: BandedMix, masks: Tensor) -> None:
        """Measures masks ``(12, 2, bands, frames)`` of a mix. A stem by itself has no SDR."""
        if len(mix.stems) > 1:
            self.sdr_db.append(mix.sdr_db(masks))
        self.shares.append(mix.shares(masks))

    def medians(self) -> dict[str, float]:
        """Median SDR of each row."""
        rows = dict.fromkeys(name for song in self.sdr_db for name in song)
        return {row: median(song[row] for song in self.sdr_db if row in song) for row in rows}

    def mean(self, stems: Sequence[str] = STEMS) -> float:
        """Mean SDR over the rows of these stems in all mixes; NaN if there are none."""
        found = [song[stem] for song in self.sdr_db for stem in stems if stem in song]
        return fmean(found) if found else float("nan")

    def recognised(self) -> dict[str, float]:
        """Share of its energy that each true stem keeps, mean over mixes."""
        held = {stem: [song[stem][number] for song in self.shares if stem in song] for number, stem in enumerate(STEMS)}
        return {stem: fmean(values) for stem, values in held.items() if values}

    def confusion(self) -> str:
        """Percent of each true stem's energy by estimate, mean over mixes."""
        lines = [" " * 16 + "".join(f"{stem[:6]:>7}" for stem in STEMS)]
        for stem in STEMS:
            held = [song[stem] for song in self.shares if stem in song]
            if held:
                lines.append(f"{stem:16}" + "".join(f"{100 * share:7.0f}" for share in np.mean(held, axis=0)))
        return "\n".join(lines)

    def summary(self) -> str:
        """Means and medians of SDR on one line; all rows are the stems and their sums."""
        medians = self.medians()
        rows = "  ".join(f"{row} {value:.2f}" for row, value in medians.items())
        means = (
            f"mean {self.mean():.2f}, of the rarer stems {self.mean(RARE):.2f}, of all rows {self.mean([*medians]):.2f}"
        )
        return f"{means}; medians: {rows}"


AS_THEY_ARE, LABELLED, PRESENCE = "as they are", "as they are, all stems known", "true presence given"
IDEAL = "ideal ratio masks"
MEANS = {"true level given": (-2, -1), "true mean spectrum given": (-1,), "true envelope given": (-2,)}
"""More of the truth: the mean magnitude of each stem over bands (-2), frames (-1) or both."""


def measure(
    mixes: Iterable[Mapping[str, Audio]], masks_of: Callable[[Tensor], Tensor], cue: str = "none"
) -> dict[str, Findings]:
    """Measures masks as they are, and with some of the truth given. A mix with unknown stems counts in the first only.

    Args:
        mixes: true stems of each, ``(2, samples)``.
        masks_of: features ``(planes, bands, frames)`` to masks ``(12, 2, bands, frames)``.
        cue: what the network sees beside the powers.
    """
    findings = {name: Findings() for name in (AS_THEY_ARE, LABELLED, PRESENCE, *MEANS, IDEAL)}
    for stems in mixes:
        mix = BandedMix.of(stems, cue)
        masks = masks_of(mix.seen)
        findings[AS_THEY_ARE].add(mix, masks)
        if not mix.is_labelled:
            continue
        findings[LABELLED].add(mix, masks)
        findings[PRESENCE].add(mix, mix.given_presence(masks))
        for name, dims in MEANS.items():
            findings[name].add(mix, mix.given_means(masks, dims))
        findings[IDEAL].add(mix, mix.ideal_masks())
    return findings


class ShippedNetwork(nn.Module):
    """The network in the wheel, with logits for its masks, shaped as those of other networks."""

    def __init__(self) -> None:
        super().__init__()
        content = weight_store.load(registry.find("stemwright-12"))
        self._session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
        self.chunk_frames = int(self._session.get_modelmeta().custom_metadata_map["chunk_frames"])

    def forward(self, seen: Tensor) -> Tensor:
        """Logits whose softmax the masks are."""
        (masks,) = self._session.run(None, {"features": seen.numpy()})
        return torch.from_numpy(masks)[None].clamp_min(1e-12).log()


def main() -> None:
    """Reads the command line, measures and prints."""
    parser = argparse.ArgumentParser(description="Measures what a network recognises.")
    parser.add_argument("folder", type=Path, help="<song>/<stem>.flac")
    parser.add_argument("--checkpoint", type=Path, help="in place of the network in the wheel")
    parser.add_argument("--frames", type=frame_count, default=CUT_FRAMES, help="frames that a checkpoint gets at once")
    parser.add_argument("--longest-s", type=float, default=30.0, help="read so much of each song")
    logit_bias.add_arguments(parser)
    parser.add_argument("--onset-prior", type=float, default=0.0, metavar="NATS", help="of a checkpoint, as in export")
    kind = parser.add_mutually_exclusive_group()
    kind.add_argument("--alone", action="store_true", help="each stem by itself")
    kind.add_argument("--pairs", type=int, metavar="COUNT", help="pairs of stems")
    options = parser.parse_args()
    keep_freed_memory()
    cue = "none"
    if options.checkpoint:
        checkpoint = Checkpoint.load(options.checkpoint)
        cue = checkpoint.shape.cue
        bias = logit_bias.from_options(options)
        network: nn.Module = build_ensemble([checkpoint], bias, onset_nats=options.onset_prior)
        frames = options.frames
    else:
        network = wheel = ShippedNetwork()
        frames = wheel.chunk_frames
    songs = find_songs(options.folder)
    if options.alone:
        mixes = alone(songs, options.longest_s)
    elif options.pairs:
        mixes = pairs(songs, options.longest_s, options.pairs)
    else:
        mixes = whole_songs(songs, options.longest_s)
    findings = measure(mixes, lambda seen: score.masks(network, seen, frames), cue)
    for name, found in findings.items():
        if found.sdr_db:
            print(f"{name}: {found.summary()}")
    for name in (AS_THEY_ARE,) if options.alone else (AS_THEY_ARE, PRESENCE):
        print("", f"{name}, percent of each true stem's energy:", findings[name].confusion(), sep="\n")


if __name__ == "__main__":
    main()
