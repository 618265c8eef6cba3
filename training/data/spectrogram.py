"""From the stems of planned mixes to what the network sees and should have answered, many at once and on any device.

Equalisers, strokes, low-pass, codec and leveller are gains of bins or frames, and a room is a sum over frames, so they come
after the spectra.
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
from training.data.augmentation import Equaliser, Part, Plan, Reverb
from training.data.songs import members

FLAT = Equaliser(0.0, 0.0, 0.0, 1.0)
LOUDEST_DB, SOFTEST_DB = 12.0, -18.0
LEVELLED_FRAMES = 9
"""A fifth of a second, over which the compressor listens."""

CODEC_HZ, CODEC_BINS = 1500.0, 41
"""Where holes begin, and the bins (440 Hz) that are the surroundings of one."""

SHAPED_HZ = (250.0, 2500.0)
"""Where lows end, and mids."""

SHAPED_FRAMES = 25
"""Strokes are measured against what is around them, over this long: 0.6 s."""

SHAPED_DB = 9.0
"""The most that a stroke is raised, or lowered."""


@dataclass(frozen=True)
class Batch:
    """What a step learns from.

    Attributes:
        powers: of the mixes, ``(batch, 4, bands, frames)``.
        magnitudes: of the stems, ``(batch, 12, 2, bands, frames)``.
        agreement: ``Re(S X*)`` of all singing with the mix, the mean over each band, ``(batch, 2, bands, frames)``.
        unknown: magnitudes of a recording of unknown stems, ``(batch, 2, bands, frames)``.
        members: which stems it may hold, 1 or 0, ``(batch, 12)``; none in most mixes.
    """

    powers: Tensor
    magnitudes: Tensor
    agreement: Tensor
    unknown: Tensor
    members: Tensor

    @classmethod
    def empty(cls, size: int, frames: int, device: torch.device | None = None) -> Batch:
        """Silence."""
        powers = torch.zeros(size, features.PLANES, BANDS_384.n_bands, frames, device=device)
        magnitudes = torch.zeros(size, len(STEMS), 2, BANDS_384.n_bands, frames, device=device)
        channels = magnitudes[:, 0]
        members = torch.zeros(size, len(STEMS), device=device)
        return cls(powers, magnitudes, torch.zeros_like(channels), torch.zeros_like(channels), members)

    def part(self, start: int, stop: int) -> Batch:
        """Some of its mixes, sharing memory."""
        return Batch(*(part[start:stop] for part in self._parts()))

    def to(self, device: torch.device) -> Batch:
        """The same on a device."""
        return Batch(*(part.to(device, non_blocking=True) for part in self._parts()))

    def _parts(self) -> tuple[Tensor, ...]:
        return self.powers, self.magnitudes, self.agreement, self.unknown, self.members


def upload(values: Sequence[object], device: torch.device, dtype: torch.dtype | None = None) -> Tensor:
    """Numbers as a tensor on a device. A GPU goes on with what it has to do meanwhile."""
    tensor = torch.tensor(values, dtype=dtype)
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor


def items_of(plans: Sequence[Plan]) -> list[int]:
    """Which plan each part belongs to, plan by plan."""
    return [item for item, plan in enumerate(plans) for _ in plan.parts]


def slots(plans: Sequence[Plan]) -> Iterator[tuple[list[int], list[int]]]:
    """First parts of all plans, then second ones and so on: which plans have one, and which of all parts it is.

    Parts that are added up in this order leave equal channels equal.
    """
    firsts = [0, *accumulate(len(plan.parts) for plan in plans)]
    for slot in range(max((len(plan.parts) for plan in plans), default=0)):
        items = [item for item, plan in enumerate(plans) if slot < len(plan.parts)]
        yield items, [firsts[item] + slot for item in items]


def mixed(parts: Tensor, plans: Sequence[Plan]) -> Tensor:
    """Sum of the parts of each plan: ``(parts, ...)`` -> ``(plans, ...)``."""
    total = parts.new_zeros(len(plans), *parts.shape[1:])
    for items, cuts in slots(plans):
        _add(total, upload(items, parts.device), parts[upload(cuts, parts.device)])
    return total


def _add(total: Tensor, items: Tensor, values: Tensor) -> None:
    """Adds ``(n, ...)`` to their places in ``(plans, ...)``, each of which is there once at most."""
    if len(total) == 1:
        total += values  # by itself, on a CPU, index_add_ takes a sixth of the time of all mixing
    else:
        total.index_add_(0, items, values)


def analyse(audio: Tensor, plans: Sequence[Plan], batch: Batch) -> None:
    """Fills ``batch``, which is silence.

    One part of each plan at a time: on a CPU with a single plan their spectra stay in its caches.

    Args:
        audio: the parts of all plans, plan by plan, at their level in the mix, ``(parts, 2, samples)``.
        plans: what the parts belong to.
        batch: of as many mixes as there are plans.
    """
    parts = [part for plan in plans for part in plan.parts]
    if not parts:
        return
    device = audio.device
    low_pass = low_pass_gains(plans, device) if any(plan.low_pass_hz for plan in plans) else None  # (plans, bins)
    shape = (len(plans), 2, batch.powers.shape[-1], BANDS_384.n_bins)
    mixture = torch.zeros(shape, dtype=torch.complex64, device=device)  # (plans, 2, frames, bins)
    singing: Tensor | None = None
    for numbers, cuts in slots(plans):
        items, chosen = upload(numbers, device), [parts[cut] for cut in cuts]
        spectra = features.spectrum(audio[upload(cuts, device)])  # (items, 2, frames, bins)
        if any(part.equaliser for part in chosen):
            spectra *= equaliser_gains([part.equaliser or FLAT for part in chosen], spectra)[:, None, None]
        for index, part in enumerate(chosen):
            if part.shaping:
                shape_strokes(spectra[index], part.shaping)
            if part.reverb:
                reverberate(spectra[index], part.reverb, seed=part.start)
        if low_pass is not None:
            spectra *= low_pass[items][:, None, None]
        _add(mixture, items, spectra)
        _fill(batch, items, chosen, features.band_power(spectra).sqrt_())
        if sung := [index for index, part in enumerate(chosen) if set(members(part.stem)) <= set(SINGING)]:
            singing = torch.zeros_like(mixture) if singing is None else singing
            _add(singing, items[sung], spectra[sung])
    if any(plan.codec_db for plan in plans):
        whole = features.band_power(mixture)
        mixture *= codec_gains(plans, mixture)
        kept = (features.band_power(mixture) / whole.clamp_min(1e-12)).transpose(-1, -2)  # (plans, 2, bands, frames)
        batch.magnitudes.mul_(kept.sqrt()[:, None])  # each stem loses what the mix does
        batch.unknown.mul_(kept.sqrt())
    if singing is not None:
        # (plans, 2, frames, bands) -> (plans, 2, bands, frames)
        batch.agreement[:] = features.band_agreement(singing, mixture).transpose(-1, -2)
    # (plans, 2, frames, bins) -> (4, plans, bands, frames) -> (plans, 4, bands, frames)
    batch.powers[:] = features.planes(mixture.transpose(0, 1)).transpose(0, 1)
    if any(plan.levelling for plan in plans):
        gain = leveller_gains(plans, batch.powers)[:, None, None]  # (plans, 1, 1, frames)
        batch.powers.mul_(gain.square())
        batch.magnitudes.mul_(gain[:, None])
        batch.unknown.mul_(gain)
        batch.agreement.mul_(gain.square())


def _fill(batch: Batch, items: Tensor, parts: Sequence[Part], magnitudes: Tensor) -> None:
    """Puts ``(parts, 2, frames, bands)`` into their mixes: those of a stem by itself, those of unknown ones beside them."""
    magnitudes = magnitudes.transpose(-1, -2)  # (parts, 2, bands, frames)
    known = [index for index, part in enumerate(parts) if part.stem in STEMS]
    if known:
        stems = upload([STEMS.index(parts[index].stem) for index in known], items.device)
        batch.magnitudes[items[known], stems] = magnitudes[known]
    for index in set(range(len(parts))) - set(known):
        held = [float(stem in members(parts[index].stem)) for stem in STEMS]
        batch.unknown[items[index]] = magnitudes[index]
        batch.members[items[index]] = upload(held, items.device)


@cache
def _bins_hz(device: torch.device) -> Tensor:
    return torch.arange(BANDS_384.n_bins, device=device) * (features.SAMPLE_RATE_HZ / features.N_FFT)


@cache
def _widths(device: torch.device) -> Tensor:
    return torch.from_numpy(BANDS_384.widths).to(device, torch.float32)


def equaliser_gains(equalisers: Sequence[Equaliser], spectra: Tensor) -> Tensor:
    """Gain of each bin, ``(parts, bins)``, that leaves complex ``(parts, 2, frames, bins)`` as loud as they are."""
    device = spectra.device

    def of(value: Callable[[Equaliser], float]) -> Tensor:
        return upload([[value(equaliser)] for equaliser in equalisers], device)  # (parts, 1)

    octaves = (_bins_hz(device).clamp_min(20) / 1000).log2()
    from_bell = (octaves - of(lambda one: one.bell_octaves)) / of(lambda one: one.bell_width_octaves)
    bell = of(lambda one: one.bell_db) * torch.exp(-from_bell.square())
    gain_db = (of(lambda one: one.tilt_db_per_octave) * octaves + bell).clamp(SOFTEST_DB, LOUDEST_DB)
    gain = 10 ** (gain_db / 20)
    heard = torch.view_as_real(spectra[:, :, ::4])  # every fourth frame says enough; sums in two steps are the faster
    power = heard.square().sum((1, 2)).sum(-1)  # (parts, bins)
    after = (power * gain.square()).sum(1, keepdim=True)
    return gain * (power.sum(1, keepdim=True) / after.clamp_min(1e-18)).sqrt()


def shape_strokes(spectra: Tensor, shaping: Sequence[float]) -> None:
    """Raises or lowers strokes against what is around them, in place, in three ranges of complex ``(2, frames, bins)``.

    A transient shaper without a threshold: the gain is a power of a frame's energy over its neighbourhood's. The energy of
    a range stays.
    """
    edges = [0, *(int(torch.searchsorted(_bins_hz(spectra.device), hz)) for hz in SHAPED_HZ), spectra.shape[-1]]
    for (start, stop), power in zip(pairwise(edges), shaping, strict=True):
        energy = torch.view_as_real(spectra[..., start:stop]).square().sum((0, 2, 3))  # (frames,)
        around = torch.nn.functional.avg_pool1d(
            energy[None], SHAPED_FRAMES, 1, SHAPED_FRAMES // 2, count_include_pad=False
        )[0]
        least = 1e-4 * energy.mean() + 1e-12
        gain_db = (10 * power * ((energy + least) / (around + least)).log10()).clamp(-SHAPED_DB, SHAPED_DB)
        gain = 10 ** (gain_db / 20)
        gain = gain * (energy.sum() / (energy * gain.square()).sum().clamp_min(1e-12)).sqrt()
        spectra[..., start:stop] *= gain[:, None]


def reverberate(spectra: Tensor, reverb: Reverb, seed: int) -> None:
    """Adds a diffuse tail to complex ``(2, frames, bins)``, in place: what sounded turns by a random angle each frame, and
    falls, faster the higher it is. Both channels turn alike, so that a mono stem stays mono."""
    device = spectra.device
    frame_s = features.HOP / features.SAMPLE_RATE_HZ
    decay_s = reverb.decay_s * (1 - 0.6 * _bins_hz(device) / (features.SAMPLE_RATE_HZ / 2))
    turns = torch.rand(len(decay_s), generator=torch.Generator().manual_seed(seed)).to(device)
    factor = torch.polar(10 ** (-3 * frame_s / decay_s), 2 * torch.pi * turns)  # (bins,)
    # The tail of a steady noise adds up to |factor|^2 / (1 - |factor|^2) of its energy.
    level = 10 ** (reverb.level_db / 20) * (1 - factor.abs().square()).sqrt() / factor.abs()
    tail = torch.zeros_like(spectra[:, 0])
    tails = [tail]
    for frame in range(spectra.shape[1] - 1):
        tail = (tail + spectra[:, frame]) * factor
        tails.append(tail)
    spectra += torch.stack(tails, 1) * level


def low_pass_gains(plans: Sequence[Plan], device: torch.device) -> Tensor:
    """Gain of each bin, ``(plans, bins)``: nothing above the plan's frequency."""
    cutoff_hz = upload([[plan.low_pass_hz or float("inf")] for plan in plans], device)
    return 1 / (1 + (_bins_hz(device) / cutoff_hz) ** 24)


def codec_gains(plans: Sequence[Plan], mixture: Tensor) -> Tensor:
    """0 where a lossy codec leaves a hole in complex ``(plans, 2, frames, bins)``, else 1; ``(plans, 1, frames, bins)``.

    A codec spends no bits on what is masked: here, above ``CODEC_HZ``, what is softer than its surroundings by the plan's
    decibels.
    """
    power = torch.view_as_real(mixture).square().sum((1, -1))  # (plans, frames, bins)
    around = torch.nn.functional.avg_pool1d(power, CODEC_BINS, 1, CODEC_BINS // 2, count_include_pad=False)
    # With no codec nothing is softer than 1000 dB below.
    least = upload([[[10 ** (-(plan.codec_db or 1000.0) / 10)]] for plan in plans], mixture.device)
    heard = (power >= least * around) | (_bins_hz(mixture.device) < CODEC_HZ)
    return heard[:, None].float()


def leveller_gains(plans: Sequence[Plan], powers: Tensor) -> Tensor:
    """Gain of each frame, ``(plans, frames)``, of a compressor without a threshold on ``(plans, 4, bands, frames)``."""
    level = (powers[:, :2].mean(1) * _widths(powers.device)[:, None]).sum(1).clamp_min(1e-6).log()  # (plans, frames)
    smooth = torch.nn.functional.avg_pool1d(
        level[:, None], LEVELLED_FRAMES, 1, LEVELLED_FRAMES // 2, count_include_pad=False
    )[:, 0]
    amounts = upload([[plan.levelling] for plan in plans], powers.device)
    return torch.exp((level.mean(1, keepdim=True) - smooth) * amounts)
