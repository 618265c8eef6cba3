"""What is known of stems before a song is heard: how rare they are in songs, and how low they reach.

A prior shift (Saerens et al. 2002, "Adjusting the outputs of a classifier to new a priori probabilities"): the odds of a
stem against any other fall by so many nats. It costs nothing, for it goes into a network's last biases.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from stemwright.models.bands import BANDS_384
from stemwright.stems import STEMS
from training.network.unet import Network

FALL_NATS = 4.0
"""By how much the odds of a stem fall with each octave below its lowest frequency."""


@dataclass(frozen=True)
class Priors:
    """How songs differ from the mixes that a network trained on.

    Attributes:
        rarer_nats: of stems that are in fewer songs than mixes.
        lowest_hz: where stems begin; below that they are rarer with each octave. A sung fundamental is seldom below 100 Hz,
            and what a network takes there for a voice is the bass.
    """

    rarer_nats: Mapping[str, float] = field(default_factory=dict)
    lowest_hz: Mapping[str, float] = field(default_factory=dict)

    @torch.no_grad()
    def lower(self, network: Network) -> None:
        """Takes the nats from a network's logits."""
        network.prior.sub_(self._nats(network))

    @torch.no_grad()
    def lift(self, network: Network) -> None:
        """Gives the nats back that ``lower`` took."""
        network.prior.add_(self._nats(network))

    def _nats(self, network: Network) -> Tensor:
        """By how much each logit falls, ``(stems * channels, bands, 1)``."""
        nats = torch.zeros(network.shape.stems, network.shape.channels, network.shape.bands)
        for stem, by in self.rarer_nats.items():
            nats[STEMS.index(stem)] += by
        for stem, hz in self.lowest_hz.items():
            nats[STEMS.index(stem)] += FALL_NATS * torch.log2(hz / centres_hz()).clamp_min(0)
        return nats.flatten(0, 1)[..., None].to(network.prior.device)


def centres_hz() -> Tensor:
    """The middle of each band, ``(bands,)``; of the lowest, which is half a bin wide, its upper end."""
    widths = torch.from_numpy(BANDS_384.widths).float()
    bins = widths.cumsum(0) - (widths + 1) / 2  # the bins of a band, counted from 0, have this mean
    return bins.clamp_min(0.5) * (BANDS_384.sample_rate / BANDS_384.n_fft)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options from which ``read`` makes priors."""
    for option, unit, meaning in (
        ("--rarer", "NATS", "taken from the logits of a stem that is rarer in songs than in training"),
        ("--lowest", "HZ", f"a stem is {FALL_NATS:g} nats rarer with each octave below this frequency"),
    ):
        parser.add_argument(
            option,
            type=_of_stem(unit),
            action="append",
            default=[],
            metavar=f"STEM={unit}",
            help=f"{meaning}; may be repeated",
        )


def read(options: argparse.Namespace) -> Priors:
    """The priors that a command line names."""
    return Priors(dict(options.rarer), dict(options.lowest))


def _of_stem(unit: str) -> Callable[[str], tuple[str, float]]:
    """Reads ``STEM=NUMBER`` of a command line; the number is positive."""

    def parse(text: str) -> tuple[str, float]:
        stem, equals, number = text.partition("=")
        if stem not in STEMS or not equals:
            raise argparse.ArgumentTypeError(f"'{text}' is not STEM={unit}, where STEM is one of {', '.join(STEMS)}.")
        try:
            value = float(number)
        except ValueError:
            value = 0.0
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"'{number}' in '{text}' is no number above zero.")
        return stem, value

    return parse
