"""From the stems of planned mixes to the network's input and target, many mixes at once and on any device.

Equalisers, transient shaping, low-pass, codec and compressor are gains of bins or frames, and reverb is a sum over
frames, so they are applied to the spectra.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import accumulate, pairwise

import torch
from torch import Tensor

from stemwright.models.bands import BANDS_384
from stemwright.stems import SINGING, STEMS
from training.data import features
from training.data.augmentation import Equaliser, MixPart, MixPlan, Reverb
from training.data.cues import NO_CUE, Cue
from training.data.songs import possible_stems

FLAT = Equaliser(0.0, 0.0, 0.0, 1.0)
LOUDEST_DB, SOFTEST_DB = 12.0, -18.0
COMPRESSOR_FRAMES = 9
"""Averaging window of the compressor's level: 0.2 s."""

CODEC_HZ, CODEC_BINS = 1500.0, 41
"""Lowest frequency of codec holes, and the width in bins (440 Hz) of the region that masks a bin."""

TRANSIENT_EDGES_HZ = (250.0, 2500.0)
"""Upper limits of the low and the middle range of transient shaping."""

TRANSIENT_WINDOW_FRAMES = 25
"""Transients are measured against the mean energy over this many frames: 0.6 s."""

MAX_TRANSIENT_DB = 9.0
"""Largest change of the level of a transient."""


@dataclass(frozen=True)
class Batch:
    """The input of one training step.

    Attributes:
        powers: of the mixes, ``(batch, 4, bands, frames)``.
        cues: of the mixes, ``(batch, planes, bands, frames)``; no planes but in trials.
        magnitudes: of the stems, ``(batch, 12, 2, bands, frames)``.
        cross_power: ``Re(S X*)`` of all singing with the mix, mean over each band, ``(batch, 2, bands, frames)``.
        unlabelled: magnitudes of a recording whose stems are not known, ``(batch, 2, bands, frames)``.
        possible: which stems that recording may hold, 1 or 0, ``(batch, 12)``; all 0 in most mixes.
    """

    powers: Tensor
    cues: Tensor
    magnitudes: Tensor
    cross_power: Tensor
    unlabelled: Tensor
    possible: Tensor

    @classmethod
    def empty(cls, size: int, frames: int, device: torch.device | None = None, cue: Cue = NO_CUE) -> Batch:
        """Silence."""
        powers = torch.zeros(size, features.PLANES, BANDS_384.n_bands, frames, device=device)
        magnitudes = torch.zeros(size, len(STEMS), 2, BANDS_384.n_bands, frames, device=device)
        cues = torch.zeros(size, cue.planes, BANDS_384.n_bands, frames, device=device)
        channels = magnitudes[:, 0]
        possible = torch.zeros(size, len(STEMS), device=device)
        return cls(powers, cues, magnitudes, torch.zeros_like(channels), torch.zeros_like(channels), possible)

    @property
    def seen(self) -> Tensor:
        """The network's input, ``(batch, 4 + planes, bands, frames)``."""
        return torch.cat([features.features(self.powers), self.cues], 1)

    def part(self, start: int, stop: int) -> Batch:
        """Some of its mixes, as views."""
        return Batch(*(part[start:stop] for part in self._parts()))

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        return Batch(*(part.to(device, non_blocking=True) for part in self._parts()))

    def _parts(self) -> tuple[Tensor, ...]:
        return self.powers, self.cues, self.magnitudes, self.cross_power, self.unlabelled, self.possible


def to_device(values: Sequence[object], device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """Numbers as a tensor on a device. A GPU keeps working meanwhile."""
    tensor = torch.tensor(values, dtype=dtype)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def plan_numbers(plans: Sequence[MixPlan]) -> list[int]:
    """For all parts, plan by plan: the number of the plan that a part belongs to."""
    return [item for item, plan in enumerate(plans) for _ in plan.parts]


def parts_by_slot(plans: Sequence[MixPlan]) -> Iterator[tuple[list[int], list[int]]]:
    """The first parts of all plans, then the second ones and so on: numbers of the plans, and numbers of the parts.

    Adding parts up in this order keeps equal channels equal.
    """
    firsts = [0, *accumulate(len(plan.parts) for plan in plans)]
    for slot in range(max((len(plan.parts) for plan in plans), default=0)):
        items = [item for item, plan in enumerate(plans) if slot < len(plan.parts)]
        yield items, [firsts[item] + slot for item in items]


def sum_parts(parts: Tensor, plans: Sequence[MixPlan]) -> Tensor:
    """Sum of the parts of each plan: ``(parts, ...)`` -> ``(plans, ...)``."""
    total = parts.new_zeros(len(plans), *parts.shape[1:])
    for items, cuts in parts_by_slot(plans):
        _add(total, to_device(items, parts.device), parts[to_device(cuts, parts.device)])
    return total


def _add(total: Tensor, items: Tensor, values: Tensor) -> None:
    """Adds ``(n, ...)`` to rows of ``(plans, ...)``; no row is named twice."""
    if len(total) == 1:
        total += values  # by itself, on a CPU, index_add_ takes a sixth of all mixing time
    else:
        total.index_add_(0, items, values)


def fill_batch(audio: Tensor, plans: Sequence[MixPlan], batch: Batch, cue: Cue = NO_CUE) -> None:
    """Fills ``batch``, which must be silence.

    Takes one part of each plan at a time: on a CPU with a single plan its spectra stay in the caches.

    Args:
        audio: the parts of all plans, plan by plan, at their level in the mix, ``(parts, 2, samples)``.
        plans: one for each mix of the batch.
        batch: is filled.
        cue: what the batch has planes for.
    """
    parts = [part for plan in plans for part in plan.parts]
    if not parts:
        return
    device = audio.device
    low_pass = low_pass_gains(plans, device) if any(plan.low_pass_hz for plan in plans) else None  # (plans, bins)
    shape = (len(plans), 2, batch.powers.shape[-1], BANDS_384.n_bins)
    mixture = torch.zeros(shape, dtype=torch.complex64, device=device)  # (plans, 2, frames, bins)
    singing: Tensor | None = None
    for numbers, cuts in parts_by_slot(plans):
        items, chosen = to_device(numbers, device), [parts[cut] for cut in cuts]
        spectra = features.spectrum(audio[to_device(cuts, device)])  # (items, 2, frames, bins)
        if any(part.equaliser for part in chosen):
            spectra *= equaliser_gains([part.equaliser or FLAT for part in chosen], spectra)[:, None, None]
        for index, part in enumerate(chosen):
            if part.transient_shaping:
                shape_transients(spectra[index], part.transient_shaping)
            if part.reverb:
                add_reverb(spectra[index], part.reverb, seed=part.start)
        if low_pass is not None:
            spectra *= low_pass[items][:, None, None]
        _add(mixture, items, spectra)
        _fill(batch, items, chosen, features.band_power(spectra).sqrt_())
        if sung := [index for index, part in enumerate(chosen) if set(possible_stems(part.stem)) <= set(SINGING)]:
            singing = torch.zeros_like(mixture) if singing is None else singing
            _add(singing, items[sung], spectra[sung])
    if any(plan.codec_db for plan in plans):
        whole = features.band_power(mixture)
        mixture *= codec_gains(plans, mixture)
        kept = (features.band_power(mixture) / whole.clamp_min(1e-12)).transpose(-1, -2)  # (plans, 2, bands, frames)
        batch.magnitudes.mul_(kept.sqrt()[:, None])  # each stem loses what the mix does
        batch.unlabelled.mul_(kept.sqrt())
    if singing is not None:
        # (plans, 2, frames, bands) -> (plans, 2, bands, frames)
        batch.cross_power[:] = features.band_cross_power(singing, mixture).transpose(-1, -2)
    # (plans, 2, frames, bins) -> (4, plans, bands, frames) -> (plans, 4, bands, frames)
    batch.powers[:] = features.planes(mixture.transpose(0, 1)).transpose(0, 1)
    batch.cues[:] = cue.of(mixture)  # levels that change slowly change none of them
    if any(plan.compression for plan in plans):
        gain = compressor_gains(plans, batch.powers)[:, None, None]  # (plans, 1, 1, frames)
        batch.powers.mul_(gain.square())
        batch.magnitudes.mul_(gain[:, None])
        batch.unlabelled.mul_(gain)
        batch.cross_power.mul_(gain.square())


def _fill(batch: Batch, items: Tensor, parts: Sequence[MixPart], magnitudes: Tensor) -> None:
    """Writes ``(parts, 2, frames, bands)`` into their mixes, as stems or as unlabelled audio."""
    magnitudes = magnitudes.transpose(-1, -2)  # (parts, 2, bands, frames)
    known = [index for index, part in enumerate(parts) if part.stem in STEMS]
    if known:
        stems = to_device([STEMS.index(parts[index].stem) for index in known], items.device)
        batch.magnitudes[items[known], stems] = magnitudes[known]
    for index in set(range(len(parts))) - set(known):
        held = [float(stem in possible_stems(parts[index].stem)) for stem in STEMS]
        batch.unlabelled[items[index]] = magnitudes[index]
        batch.possible[items[index]] = to_device(held, items.device)


@cache
def _bins_hz(device: torch.device) -> Tensor:
    return torch.arange(BANDS_384.n_bins, device=device) * (features.SAMPLE_RATE_HZ / features.N_FFT)


@cache
def _widths(device: torch.device) -> Tensor:
    return torch.from_numpy(BANDS_384.widths).to(device, torch.float32)


def equaliser_gains(equalisers: Sequence[Equaliser], spectra: Tensor) -> Tensor:
    """Gain of each bin, ``(parts, bins)``, for complex ``(parts, 2, frames, bins)``, whose energy it keeps."""
    device = spectra.device

    def of(value: Callable[[Equaliser], float]) -> Tensor:
        return to_device([[value(equaliser)] for equaliser in equalisers], device)  # (parts, 1)

    octaves = (_bins_hz(device).clamp_min(20) / 1000).log2()
    from_bell = (octaves - of(lambda one: one.bell_octaves)) / of(lambda one: one.bell_width_octaves)
    bell = of(lambda one: one.bell_db) * torch.exp(-from_bell.square())
    gain_db = (of(lambda one: one.tilt_db_per_octave) * octaves + bell).clamp(SOFTEST_DB, LOUDEST_DB)
    gain = 10 ** (gain_db / 20)
    sampled = torch.view_as_real(spectra[:, :, ::4])  # every fourth frame is enough; two sums are faster than one
    power = sampled.square().sum((1, 2)).sum(-1)  # (parts, bins)
    after = (power * gain.square()).sum(1, keepdim=True)
    return gain * (power.sum(1, keepdim=True) / after.clamp_min(1e-18)).sqrt()


def shape_transients(spectra: Tensor, transient_shaping: Sequence[float]) -> None:
    """Raises or lowers transients, in place, in three ranges of complex ``(2, frames, bins)``.

    A transient shaper without a threshold: the gain is a power of the energy of a frame relative to that of the frames
    around it. The energy of each range is kept.
    """
    edges = [
        0,
        *(int(torch.searchsorted(_bins_hz(spectra.device), hz)) for hz in TRANSIENT_EDGES_HZ),
        spectra.shape[-1],
    ]
    for (start, stop), power in zip(pairwise(edges), transient_shaping, strict=True):
        energy = torch.view_as_real(spectra[..., start:stop]).square().sum((0, 2, 3))  # (frames,)
        around = torch.nn.functional.avg_pool1d(
            energy[None], TRANSIENT_WINDOW_FRAMES, 1, TRANSIENT_WINDOW_FRAMES // 2, count_include_pad=False
        )[0]
        least = 1e-4 * energy.mean() + 1e-12
        gain_db = (10 * power * ((energy + least) / (around + least)).log10()).clamp(
            -MAX_TRANSIENT_DB, MAX_TRANSIENT_DB
        )
        gain = 10 ** (gain_db / 20)
        gain = gain * (energy.sum() / (energy * gain.square()).sum().clamp_min(1e-12)).sqrt()
        spectra[..., start:stop] *= gain[:, None]


def add_reverb(spectra: Tensor, reverb: Reverb, seed: int) -> None:
    """Adds a diffuse reverb tail to complex ``(2, frames, bins)``, in place.

    In each frame the tail rotates by a random angle per bin and decays, faster at higher frequencies. Both channels
    rotate by the same angles, so that a mono stem stays mono.
    """
    device = spectra.device
    frame_s = features.HOP / features.SAMPLE_RATE_HZ
    decay_s = reverb.decay_s * (1 - 0.6 * _bins_hz(device) / (features.SAMPLE_RATE_HZ / 2))
    angles = torch.rand(len(decay_s), generator=torch.Generator().manual_seed(seed)).to(device)
    factor = torch.polar(10 ** (-3 * frame_s / decay_s), 2 * torch.pi * angles)  # (bins,)
    # The tail of a steady noise adds up to |factor|^2 / (1 - |factor|^2) of its energy.
    level = 10 ** (reverb.level_db / 20) * (1 - factor.abs().square()).sqrt() / factor.abs()
    tail = torch.zeros_like(spectra[:, 0])
    tails = [tail]
    for frame in range(spectra.shape[1] - 1):
        tail = (tail + spectra[:, frame]) * factor
        tails.append(tail)
    spectra += torch.stack(tails, 1) * level


def low_pass_gains(plans: Sequence[MixPlan], device: torch.device) -> Tensor:
    """Gain of each bin, ``(plans, bins)``: near zero above the plan's frequency."""
    cutoff_hz = to_device([[plan.low_pass_hz or float("inf")] for plan in plans], device)
    return 1 / (1 + (_bins_hz(device) / cutoff_hz) ** 24)


def codec_gains(plans: Sequence[MixPlan], mixture: Tensor) -> Tensor:
    """Gains ``(plans, 1, frames, bins)`` for complex ``(plans, 2, frames, bins)``: 0 where a lossy codec leaves a hole.

    A codec spends no bits on masked content: here bins above ``CODEC_HZ`` that are softer than the bins around them by
    the plan's decibels. All other gains are 1.
    """
    power = torch.view_as_real(mixture).square().sum((1, -1))  # (plans, frames, bins)
    around = torch.nn.functional.avg_pool1d(power, CODEC_BINS, 1, CODEC_BINS // 2, count_include_pad=False)
    # With no codec nothing is softer than 1000 dB below.
    least = to_device([[[10 ** (-(plan.codec_db or 1000.0) / 10)]] for plan in plans], mixture.device)
    coded = (power >= least * around) | (_bins_hz(mixture.device) < CODEC_HZ)
    return coded[:, None].float()


def compressor_gains(plans: Sequence[MixPlan], powers: Tensor) -> Tensor:
    """Gain of each frame, ``(plans, frames)``, of a compressor without a threshold on ``(plans, 4, bands, frames)``."""
    level = (powers[:, :2].mean(1) * _widths(powers.device)[:, None]).sum(1).clamp_min(1e-6).log()  # (plans, frames)
    smooth = torch.nn.functional.avg_pool1d(
        level[:, None], COMPRESSOR_FRAMES, 1, COMPRESSOR_FRAMES // 2, count_include_pad=False
    )[:, 0]
    amounts = to_device([[plan.compression] for plan in plans], powers.device)
    return torch.exp((level.mean(1, keepdim=True) - smooth) * amounts)
