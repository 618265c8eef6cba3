"""Spectra and features of the network, in torch; the separator computes the same in NumPy.

A spectrum is an unnormalised STFT: frames of 4,096 samples at 44.1 kHz, 1,024 apart, under a periodic Hann window. Its
power is averaged in each band, in four planes: left, right, mid ``(left + right) / 2`` and side ``(left - right) / 2``.
The last two tell a lead in the middle from what stands around it. A feature is ``log(1e-4 + 10 * sqrt(power))``.
"""

from __future__ import annotations

import torch
from torch import Tensor

from stemwright.models.bands import BANDS_384

N_FFT = BANDS_384.n_fft
HOP = 1024
SAMPLE_RATE_HZ = BANDS_384.sample_rate
PLANES = 4


def frames_to_samples(frames: int) -> int:
    """Samples that uncentred frames span."""
    return N_FFT + HOP * (frames - 1)


def spectrum(audio: Tensor) -> Tensor:
    """Uncentred STFT: ``(..., samples)`` -> complex ``(..., frames, bins)``, bins last."""
    window = torch.hann_window(N_FFT, device=audio.device)
    transformed: Tensor = torch.fft.rfft(audio.unfold(-1, N_FFT, HOP) * window)
    return transformed


def power(spectra: Tensor) -> Tensor:
    """Squared magnitude of complex numbers, without the square root that ``abs`` takes on the way."""
    return spectra.real.square().addcmul_(spectra.imag, spectra.imag)


def pool(bins: Tensor) -> Tensor:
    """Mean of each band: ``(..., bins)`` -> ``(..., bands)``."""
    pooled = [
        bins[..., start:stop].reshape(*bins.shape[:-1], -1, width).mean(-1) if width > 1 else bins[..., start:stop]
        for start, stop, width in BANDS_384.runs
    ]
    return torch.cat(pooled, -1)


def planes(mixture: Tensor) -> Tensor:
    """Banded power of left, right, mid and side: complex ``(2, frames, bins)`` -> ``(4, bands, frames)``."""
    left, right = mixture
    powers = torch.stack([power(left), power(right), power((left + right) / 2), power((left - right) / 2)])
    return pool(powers).transpose(-1, -2)  # (4, frames, bands) -> (4, bands, frames)


def features(powers: Tensor) -> Tensor:
    """What the network sees of banded powers, in any shape."""
    return torch.log(1e-4 + 10 * powers.sqrt())
