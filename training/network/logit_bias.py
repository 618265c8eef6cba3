"""Biases of a network's logits, for stems that are rarer in songs than in training mixes, and a low cut for stems.

A change of class priors (Saerens et al. 2002, "Adjusting the outputs of a classifier to new a priori probabilities"):
the odds of a stem against every other stem change by a number of nats. It costs no time, since it is added to the last
bias of the network.
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

LOW_CUT_NATS_PER_OCTAVE = 4.0
"""How much the logit of a stem falls with each octave below its low cut."""


@dataclass(frozen=True)
class LogitBias:
    """How songs differ from the mixes that a network was trained on.

    Attributes:
        bias_nats: added to the logits of a stem; negative for a stem that is in fewer songs than training mixes.
        low_cut_hz: below this frequency the logit of a stem falls by ``LOW_CUT_NATS_PER_OCTAVE``. A sung fundamental is
            seldom below 100 Hz; what a network assigns to vocals there is bass.
    """

    bias_nats: Mapping[str, float] = field(default_factory=dict)
    low_cut_hz: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def from_metadata(cls, stored: Mapping[str, Mapping[str, float]]) -> LogitBias:
        """Reads what ``metadata`` gave."""
        rarer = stored.get("rarer_nats", {})
        return cls({stem: -nats for stem, nats in rarer.items()}, dict(stored.get("lowest_hz", {})))

    def metadata(self) -> dict[str, dict[str, float]]:
        """As an exported file stores it. The keys, and the sign of the first, are those of the first exported files."""
        return {
            "rarer_nats": {stem: -nats for stem, nats in self.bias_nats.items()},
            "lowest_hz": dict(self.low_cut_hz),
        }

    @torch.no_grad()
    def apply(self, network: Network) -> None:
        """Adds the biases to a network's logits."""
        network.prior.add_(self._nats(network))

    @torch.no_grad()
    def remove(self, network: Network) -> None:
        """Undoes ``apply``."""
        network.prior.sub_(self._nats(network))

    def _nats(self, network: Network) -> Tensor:
        """What is added to each logit, ``(stems * channels, bands, 1)``."""
        nats = torch.zeros(network.shape.stems, network.shape.channels, network.shape.bands)
        for stem, by in self.bias_nats.items():
            nats[STEMS.index(stem)] += by
        for stem, hz in self.low_cut_hz.items():
            nats[STEMS.index(stem)] -= LOW_CUT_NATS_PER_OCTAVE * torch.log2(hz / band_centres_hz()).clamp_min(0)
        return nats.flatten(0, 1)[..., None].to(network.prior.device)


def band_centres_hz() -> Tensor:
    """The centre of each band, ``(bands,)``; of the lowest one, which is half a bin wide, its upper edge."""
    widths = torch.from_numpy(BANDS_384.widths).float()
    bins = widths.cumsum(0) - (widths + 1) / 2  # the bins of a band, counted from 0, have this mean
    return bins.clamp_min(0.5) * (BANDS_384.sample_rate / BANDS_384.n_fft)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options that ``from_options`` reads."""
    parser.add_argument(
        "--logit-bias",
        type=_stem_and_bias,
        action="append",
        default=[],
        metavar="STEM=NATS",
        help="add this to the logits of a stem; negative for a stem that songs have less often than training mixes; "
        "may be repeated",
    )
    parser.add_argument(
        "--low-cut",
        type=_stem_and_positive("HZ"),
        action="append",
        default=[],
        metavar="STEM=HZ",
        help=f"lower the logits of a stem by {LOW_CUT_NATS_PER_OCTAVE:g} nats with each octave below this frequency; "
        "may be repeated",
    )
    # The names until 0.1.0: --rarer counted nats downwards.
    parser.add_argument("--rarer", type=_rarer, action="append", dest="logit_bias", help=argparse.SUPPRESS)
    parser.add_argument(
        "--lowest", type=_stem_and_positive("HZ"), action="append", dest="low_cut", help=argparse.SUPPRESS
    )


def from_options(options: argparse.Namespace) -> LogitBias:
    """The biases that a command line names."""
    return LogitBias(dict(options.logit_bias), dict(options.low_cut))


def _split(text: str, unit: str) -> tuple[str, float]:
    stem, equals, number = text.partition("=")
    if stem not in STEMS or not equals:
        raise argparse.ArgumentTypeError(f"'{text}' is not STEM={unit}, where STEM is one of {', '.join(STEMS)}.")
    try:
        return stem, float(number)
    except ValueError:
        return stem, float("nan")


def _stem_and_bias(text: str) -> tuple[str, float]:
    stem, nats = _split(text, "NATS")
    if not abs(nats) < float("inf"):
        raise argparse.ArgumentTypeError(f"'{text}': after the '=' comes a number, such as -0.5.")
    return stem, nats


def _stem_and_positive(unit: str) -> Callable[[str], tuple[str, float]]:
    """Reads ``STEM=NUMBER`` of a command line; the number is positive."""

    def parse(text: str) -> tuple[str, float]:
        stem, value = _split(text, unit)
        if not 0 < value < float("inf"):
            raise argparse.ArgumentTypeError(f"'{text}': after the '=' comes a number above zero.")
        return stem, value

    return parse


def _rarer(text: str) -> tuple[str, float]:
    stem, nats = _stem_and_positive("NATS")(text)
    return stem, -nats
