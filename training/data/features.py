"""Spectra and features of the network, in torch; the separator computes the same in NumPy.

A spectrum is an unnormalised STFT: frames of 4,096 samples at 44.1 kHz, 1,024 apart, under a periodic Hann window. Its
power is averaged in each band, in four planes: left, right, mid ``(left + right) / 2`` and side
``(left - right) / 2``. The last two separate a lead in the centre from the instruments around it. A feature is
``log(1e-4 + 10 * sqrt(power))``.
"""

from __future__ import annotations

from functools import cache

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


@cache
def _window(device: torch.device) -> Tensor:
    return torch.hann_window(N_FFT, device=device)


def spectrum(audio: Tensor) -> Tensor:
    """Uncentred STFT: ``(..., samples)`` -> complex ``(..., frames, bins)``, bins last."""
    transformed: Tensor = torch.fft.rfft(audio.unfold(-1, N_FFT, HOP) * _window(audio.device))
    return transformed


def band_power(spectra: Tensor) -> Tensor:
    """Mean squared magnitude of each band: complex ``(..., bins)`` -> ``(..., bands)``."""
    return band_cross_power(spectra, spectra)


def band_cross_power(spectra: Tensor, mixture: Tensor) -> Tensor:
    """Mean of ``Re(S X*)`` over each band: two complex ``(..., bins)`` -> ``(..., bands)``."""
    # Real and imaginary parts lie side by side, so a band of w bins is the sum of 2 w products.
    products = (torch.view_as_real(spectra) * torch.view_as_real(mixture)).flatten(-2)
    pooled = [
        products[..., 2 * start : 2 * stop].reshape(*products.shape[:-1], -1, 2 * width).sum(-1) / width
        for start, stop, width in BANDS_384.runs
    ]
    return torch.cat(pooled, -1)


def planes(mixture: Tensor) -> Tensor:
    """Banded power of left, right, mid and side: complex ``(2, frames, bins)`` -> ``(4, bands, frames)``."""
    left, right = mixture
    powers = torch.stack([band_power(view) for view in (left, right, (left + right) / 2, (left - right) / 2)])
    return powers.transpose(-1, -2)  # (4, frames, bands) -> (4, bands, frames)


def features(powers: Tensor) -> Tensor:
    """The network's input features from band powers, in any shape."""
    return torch.log(1e-4 + 10 * powers.sqrt())
