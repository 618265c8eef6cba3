"""The loss: two terms, both of the softmax over stems.

The first is the cross-entropy between the ideal ratio mask and the softmax. Half of the weight of a point is that of
the mixture's magnitude: loud points matter more, as in hearing and in SDR, but quiet ones still count. The other half
is divided equally among the stems that play, and for each among its own points, so that a quiet stem is learned as
well. Both are multiplied by the square root of the band's width. Three fifths of the energy of recordings is below 300
Hz, where drums and bass have to be separated; those points have two fifths of the mixture's weight. An L1 distance
between compressed magnitudes, the usual choice, collapses to silence for every stem that is often absent; this loss
learns from the first minute. But its masks are ratios of magnitudes, which divide a point too evenly: raised to the
power of 1.6 they gained 1 dB of vocals in recordings and lost half a dB of drums.

In two mixes of three the absent stems are left out of the softmax, so that more is learned about how stems that play are
told apart.

The second is the error of singing, and so of the rest, in decibels as SDR counts it. A real mask ``m`` that is
constant in a band leaves

    |m X - S|^2  =  m^2 |X|^2  -  2 m Re(S X*)  +  |S|^2

which needs only sums over bands, so that it costs almost no time. It teaches how far a mask may be trusted. At first
it was the error of every stem, which took from drums, basses and keyboards of recordings what it gave to voices: among
instruments a network is less certain on recordings than on composed songs, while it finds singing as well in both.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stemwright.models.bands import BANDS_384
from stemwright.stems import SINGING, STEMS
from training.data.spectrogram import Batch
from training.network.unet import Network
from training.optimise.precision import has_fast_bfloat16

FLOOR = 1e-6
SINGING_ERROR_WEIGHT = 0.1
"""Weight of the error beside the cross-entropy."""

ENERGY_FLOOR = 1e-3
"""Energy relative to the mixture that is added to a stem and to an error: -30 dB."""

ABSENT_WEIGHT = 0.2
"""Weight of an absent stem, relative to one that is present."""

KNOWN_OF_THREE = 2
"""In so many of three mixes the absent stems are left out of the softmax while training."""

ABSENT_NATS, SILENT = 12.0, 1e-3
"""By how much their logits are lowered, and the magnitude below which a stem is absent."""

SOFTEST = 1e-3
"""A stem plays in a mix if its magnitudes add up to this part of those of the loudest stem."""


def mask_loss(network: Network, batch: Batch, widths: Tensor) -> Tensor:
    """Mean loss of a batch.

    Args:
        network: in training or evaluation mode.
        batch: mixes and their stems.
        widths: bins in each band, ``(bands,)``.
    """
    device = batch.powers.device
    with torch.autocast(device.type, torch.bfloat16, enabled=has_fast_bfloat16(device)):
        logits = network(batch.seen)
    logits = tie_unlabelled_logits(logits.float(), batch.possible)
    if network.training:
        logits = leave_out_absent(logits, batch)
    log_masks = logits.log_softmax(1)
    return cross_entropy(log_masks, batch, widths) + SINGING_ERROR_WEIGHT * singing_error(
        log_masks.exp(), batch, widths
    )


def tie_unlabelled_logits(logits: Tensor, possible: Tensor) -> Tensor:
    """The same ``(batch, stems, 2, bands, frames)``, but stems that a recording may hold get one common gradient.

    Otherwise their sum would grow in the stem that is already the most likely: real drums became fx, since the loss did
    not prevent it. The differences between these stems are learned from songs with known stems.
    """
    held = possible[:, :, None, None, None]
    mean = (logits * held).sum(1, keepdim=True) / held.sum(1, keepdim=True).clamp_min(1)
    return torch.where(held > 0, logits.detach() + (mean - mean.detach()), logits)


def leave_out_absent(logits: Tensor, batch: Batch) -> Tensor:
    """The same ``(batch, stems, 2, bands, frames)``, with the logits of absent stems lowered in two mixes of three.

    There the network learns only how to divide a point among the stems that play. In the others it also learns which
    of the twelve play.
    """
    plays = torch.maximum((batch.magnitudes.amax((2, 3, 4)) > SILENT).float(), batch.possible)  # (batch, stems)
    known = torch.arange(len(plays), device=plays.device) % 3 < KNOWN_OF_THREE
    return logits - (ABSENT_NATS * known[:, None] * (1 - plays))[:, :, None, None, None]


def cross_entropy(log_masks: Tensor, batch: Batch, widths: Tensor) -> Tensor:
    """Cross-entropy with the ideal ratio mask, in nats; ``log_masks`` are ``(batch, stems, 2, bands, frames)``.

    Unlabelled audio belongs to the sum of the masks of the stems that it may hold.
    """
    magnitudes = batch.magnitudes
    total = magnitudes.sum(1) + batch.unlabelled  # (batch, 2, bands, frames)
    shared = (log_masks.exp() * batch.possible[:, :, None, None, None]).sum(1).clamp_min(FLOOR)
    known = ((magnitudes + FLOOR) * log_masks).sum(1)
    by_point = -(known + batch.unlabelled * shared.log()) / (total + magnitudes.shape[1] * FLOOR)
    # Each mix counts the same, however loud it is.
    return (by_point * point_weights(batch, widths)).sum((1, 2, 3)).mean()


def point_weights(batch: Batch, widths: Tensor) -> Tensor:
    """Weight of each point, ``(batch, 2, bands, frames)``; they add up to one in each mix that is not silent."""
    root = widths.float().sqrt()[:, None]  # (bands, 1)
    of_mixture = batch.powers[:, :2].sqrt() * root
    of_mixture = of_mixture / of_mixture.sum((1, 2, 3), keepdim=True).clamp_min(FLOOR)
    parts = torch.cat([batch.magnitudes, batch.unlabelled[:, None]], 1)  # unlabelled audio counts as one stem
    totals = (parts.sum((2, 4)) * root[:, 0]).sum(-1)  # (batch, 13)
    plays = totals > SOFTEST * totals.amax(1, keepdim=True).clamp_min(FLOOR)
    gains = plays / totals.clamp_min(FLOOR) / plays.sum(1, keepdim=True).clamp_min(1)
    of_stems = torch.einsum("bs,bscft->bcft", gains, parts) * root
    return (of_mixture + of_stems) / 2


def singing_error(masks: Tensor, batch: Batch, widths: Tensor) -> Tensor:
    """Mean of two logarithms: energy of the error over that of singing, and over that of the rest.

    ``masks`` are ``(batch, stems, 2, bands, frames)`` and sum to one, so that both have the same error. All energies
    have ``ENERGY_FLOOR`` of the mixture's energy added, since a perfect mask or silence would give infinity.
    """
    weight = widths.float()[:, None]  # (bands, 1)
    singing = [STEMS.index(stem) for stem in SINGING]
    mask, power = masks[:, singing].sum(1), batch.powers[:, :2]  # (batch, 2, bands, frames)
    mixture = _energy(power, weight)  # (batch,)
    may_sing = batch.possible[:, singing].amax(1)  # (batch,)
    may_play = (batch.possible.sum(1) - batch.possible[:, singing].sum(1)).clamp_max(1)
    unknown = _energy(batch.unlabelled.square(), weight)
    # Lead and backing, singing and the rest are taken as uncorrelated; the error of that does not depend on the masks.
    sung = _energy(batch.magnitudes[:, singing].square().sum(1), weight)
    rest = _energy(batch.magnitudes.square().sum(1), weight) - sung
    sung, rest = sung + unknown * may_sing, rest + unknown * may_play
    wrong = (sung + _energy(mask.square() * power - 2 * mask * batch.cross_power, weight)).clamp_min(0)
    quiet = ENERGY_FLOOR * mixture.clamp_min(FLOOR)
    energies = torch.stack([sung, rest])  # (2, batch)
    counts = torch.where(energies > quiet, 1.0, ABSENT_WEIGHT) * (1 - may_sing * may_play)  # not where it may be either
    return (((wrong + quiet) / (energies + quiet)).log() * counts).mean()


def _energy(power: Tensor, weight: Tensor) -> Tensor:
    """``(batch, 2, bands, frames)`` -> ``(batch,)``."""
    return (power * weight).sum((1, 2, 3))


def band_widths(device: torch.device) -> Tensor:
    """Bins in each band, ``(bands,)``."""
    return torch.from_numpy(BANDS_384.widths).to(device)
