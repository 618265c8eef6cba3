"""What the network is trained on: two losses of its softmax over stems.

The first is the cross-entropy between the ideal ratio mask and the softmax. Each point counts by the mixture's magnitude
and by the square root of its band's width: loud points matter more, as they do to the ear and to SDR, but quiet ones still
teach. Three fifths of the energy of recordings lie below 300 Hz, where drums and basses are to be told apart; those points
have two fifths of the weight. An L1 distance between compressed magnitudes, the usual choice, collapses to silence for every
stem that is often absent; this loss learns from the first minute. But its masks are ratios of magnitudes, which divide a
point too evenly: raised to the power of 1.6 they gained a decibel on voices in recordings, and lost half of one on drums.

The second is the error of singing, and so of the rest, in decibels as SDR counts it. A real mask ``m`` that is constant in
a band leaves

    |m X - S|^2  =  m^2 |X|^2  -  2 m Re(S X*)  +  |S|^2

which needs only banded sums, so that it costs nothing next to the network. It teaches how far to trust a guess. It was
that of every stem once, and took from drums, basses and keyboards of recordings what it gave to voices: a guess among
instruments is less sure there than on composed songs, while singing is told from the rest as well as here.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stemwright.models.bands import BANDS_384
from stemwright.stems import SINGING, STEMS
from training.data import features
from training.data.spectrogram import Batch
from training.network.unet import Network
from training.optimise.precision import has_fast_bfloat16

FLOOR = 1e-6
SINGING_ERROR_WEIGHT = 0.1
"""How much the error counts beside the cross-entropy."""

ENERGY_FLOOR = 1e-3
"""Energy, as a share of the mixture's, below which a stem or an error counts as nothing: -30 dB."""

ABSENT_WEIGHT = 0.2
"""How much a stem that does not play counts, next to one that does."""


def mask_loss(network: Network, batch: Batch, widths: Tensor) -> Tensor:
    """Mean loss of a batch.

    Args:
        network: in training or evaluation mode.
        batch: mixes and their stems.
        widths: bins in each band, ``(bands,)``.
    """
    device = batch.powers.device
    with torch.autocast(device.type, torch.bfloat16, enabled=has_fast_bfloat16(device)):
        logits = network(features.features(batch.powers))
    log_masks = tie_unlabelled_logits(logits.float(), batch.possible).log_softmax(1)
    return cross_entropy(log_masks, batch, widths) + SINGING_ERROR_WEIGHT * singing_error(
        log_masks.exp(), batch, widths
    )


def tie_unlabelled_logits(logits: Tensor, possible: Tensor) -> Tensor:
    """The same ``(batch, stems, 2, bands, frames)``, but stems of which nobody knows which one plays rise and fall together.

    Their sum would otherwise be raised where it is easiest, in the stem that is the likeliest already: real drums became
    effects, for nothing said that they are not. What tells these stems apart is learned where they are known.
    """
    held = possible[:, :, None, None, None]
    mean = (logits * held).sum(1, keepdim=True) / held.sum(1, keepdim=True).clamp_min(1)
    return torch.where(held > 0, logits.detach() + (mean - mean.detach()), logits)


def cross_entropy(log_masks: Tensor, batch: Batch, widths: Tensor) -> Tensor:
    """Cross-entropy with the ideal ratio mask, in nats; ``log_masks`` are ``(batch, stems, 2, bands, frames)``.

    What is one of several stems, nobody knows which, is due to the sum of their masks.
    """
    magnitudes = batch.magnitudes
    total = magnitudes.sum(1) + batch.unlabelled  # (batch, 2, bands, frames)
    shared = (log_masks.exp() * batch.possible[:, :, None, None, None]).sum(1).clamp_min(FLOOR)
    known = ((magnitudes + FLOOR) * log_masks).sum(1)
    by_point = -(known + batch.unlabelled * shared.log()) / (total + magnitudes.shape[1] * FLOOR)
    weight = batch.powers[:, :2].sqrt() * widths.float().sqrt()[:, None]
    # Each mix counts the same, however loud it is.
    by_mix = (by_point * weight).sum((1, 2, 3)) / weight.sum((1, 2, 3)).clamp_min(FLOOR)
    return by_mix.mean()


def singing_error(masks: Tensor, batch: Batch, widths: Tensor) -> Tensor:
    """Energy of the error by that of singing, and by that of the rest, as logarithms, their mean.

    ``masks`` are ``(batch, stems, 2, bands, frames)`` and sum to one, so that both have the same error. All energies have
    ``ENERGY_FLOOR`` of the mixture's energy added: perfection and silence have no end else.
    """
    weight = widths.float()[:, None]  # (bands, 1)
    singing = [STEMS.index(stem) for stem in SINGING]
    mask, power = masks[:, singing].sum(1), batch.powers[:, :2]  # (batch, 2, bands, frames)
    mixture = _energy(power, weight)  # (batch,)
    may_sing = batch.possible[:, singing].amax(1)  # (batch,)
    may_play = (batch.possible.sum(1) - batch.possible[:, singing].sum(1)).clamp_max(1)
    unknown = _energy(batch.unlabelled.square(), weight)
    # Lead and backing, singing and the rest are taken for unrelated; what that gets wrong does not depend on the masks.
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
