"""More for the network to see than band powers: planes of what else a mixture's spectrum says, for trials.

``training.trial --cue`` compares them at equal steps (docs/training-log.md). All are of the middle ``(left + right) /
2``, but for those of the channels, lie between -1 and 1 or near it, and are averaged in each band.

short-windows    energy of four windows of 1,024 samples inside each frame, 256 apart, against their mean: where in the
                 frame a sound begins
phase            instantaneous frequency and group delay, relative to the centre of the bin and of the frame (Flanagan
                 and Golden 1966, "Phase vocoder"; Auger and Flandrin 1995): cosine and sine of each
channels         coherence of left and right over five frames: real and imaginary part
tonality         spectral flatness (Johnston 1988) of nine bins, and of each bin over nine frames
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from stemwright.models.bands import BANDS_384
from training.data import features

SILENCE = 1e-8
"""Power that is added to all powers: silence has no phase."""

SHORT_SAMPLES, SHORT_HOP, SHORT_WINDOWS = 1024, 256, 4
"""Length, distance and number of the short windows around the centre of a frame."""

COHERENCE_FRAMES = 5
FLATNESS_WIDTH = 9
"""Bins, or frames, over which flatness is measured."""

LOUDER_DB = 30.0
"""Differences of levels are divided by this."""


@dataclass(frozen=True)
class Cue:
    """Planes that a network sees beside the powers.

    Attributes:
        planes: their number.
        of: a mixture's spectra, complex ``(mixes, 2, frames, bins)`` -> ``(mixes, planes, bands, frames)``.
    """

    planes: int
    of: Callable[[Tensor], Tensor]


def short_windows(spectra: Tensor) -> Tensor:
    """Level of each short window, ``(mixes, 4, bands, frames)``, in units of ``LOUDER_DB`` above their mean."""
    audio = torch.fft.irfft(_middle(spectra))  # (mixes, frames, samples), still under the window of the frame
    first = (features.N_FFT - SHORT_SAMPLES - SHORT_HOP * (SHORT_WINDOWS - 1)) // 2
    length = SHORT_SAMPLES + SHORT_HOP * (SHORT_WINDOWS - 1)
    windows = audio[..., first : first + length].unfold(-1, SHORT_SAMPLES, SHORT_HOP)
    short = torch.fft.rfft(windows * torch.hann_window(SHORT_SAMPLES, device=spectra.device))
    power = _power(short)  # (mixes, frames, 4, 513)
    mean = power.mean(2, keepdim=True)
    level_db = 10 * ((power + SILENCE) / (mean + SILENCE)).log10()
    wide = level_db.repeat_interleave(features.N_FFT // SHORT_SAMPLES, -1)[..., : features.N_FFT // 2 + 1]
    return _pool(wide / LOUDER_DB).permute(0, 2, 3, 1)  # (mixes, frames, 4, bands) -> (mixes, 4, bands, frames)


def phase(spectra: Tensor) -> Tensor:
    """Instantaneous frequency and group delay, ``(mixes, 4, bands, frames)``: cosine and sine of both angles.

    Their length is below one where neighbours in a band differ.
    """
    middle = _middle(spectra)
    bins = torch.arange(middle.shape[-1], dtype=torch.float64)
    turns = torch.polar(torch.ones_like(bins), -2 * torch.pi * features.HOP / features.N_FFT * bins).to(middle)
    advance = torch.zeros_like(middle)
    advance[:, 1:] = middle[:, 1:] * middle[:, :-1].conj() * turns
    delay = torch.zeros_like(middle)
    delay[..., 1:] = -middle[..., 1:] * middle[..., :-1].conj()  # an impulse in the centre of a frame turns by pi a bin
    return torch.cat([_direction(advance), _direction(delay)], 1)


def channels(spectra: Tensor) -> Tensor:
    """Coherence of left and right, ``(mixes, 2, bands, frames)``."""
    left, right = spectra.unbind(1)
    cross = left * right.conj()
    values = torch.stack([cross.real, cross.imag, _power(left), _power(right)], 1)  # (mixes, 4, frames, bins)
    pooled = _pool(values).transpose(-1, -2)  # (mixes, 4, bands, frames)
    smooth = _mean_over(pooled, COHERENCE_FRAMES)
    return smooth[:, :2] / (smooth[:, 2:3].clamp_min(0) * smooth[:, 3:].clamp_min(0) + SILENCE**2).sqrt()


def tonality(spectra: Tensor) -> Tensor:
    """Flatness along bins and along frames, ``(mixes, 2, bands, frames)``, in units of ``LOUDER_DB``."""
    power = _power(_middle(spectra)) + SILENCE  # (mixes, frames, bins)
    along_bins = _flatness_db(power)
    along_frames = _flatness_db(power.transpose(-1, -2)).transpose(-1, -2)
    return _pool(torch.stack([along_bins, along_frames], 1) / LOUDER_DB).transpose(-1, -2)


def _flatness_db(power: Tensor) -> Tensor:
    """Geometric over arithmetic mean of neighbours along the last axis of ``(mixes, rows, places)``, in dB."""
    return 10 * (
        _mean_over(power.log10(), FLATNESS_WIDTH) - _mean_over(power, FLATNESS_WIDTH).clamp_min(SILENCE).log10()
    )


def _mean_over(values: Tensor, width: int) -> Tensor:
    """Moving average of ``(..., rows, places)`` along the last axis."""
    rows = values.reshape(-1, 1, values.shape[-1])
    mean = torch.nn.functional.avg_pool1d(rows, width, 1, width // 2, count_include_pad=False)
    return mean.reshape(values.shape)


def _middle(spectra: Tensor) -> Tensor:
    return (spectra[:, 0] + spectra[:, 1]) / 2


def _power(spectra: Tensor) -> Tensor:
    return torch.view_as_real(spectra).square().sum(-1)


def _direction(products: Tensor) -> Tensor:
    """Mean of complex ``(mixes, frames, bins)`` over its mean length, ``(mixes, 2, bands, frames)``."""
    values = torch.stack([products.real, products.imag, products.abs()], 1)  # (mixes, 3, frames, bins)
    pooled = _pool(values).transpose(-1, -2)
    return pooled[:, :2] / (pooled[:, 2:] + SILENCE)


def _pool(values: Tensor) -> Tensor:
    """Mean of each band: real ``(..., bins)`` -> ``(..., bands)``."""
    shape = values.shape[:-1]
    runs = [values[..., start:stop].reshape(*shape, -1, width).mean(-1) for start, stop, width in BANDS_384.runs]
    return torch.cat(runs, -1)


def _nothing(spectra: Tensor) -> Tensor:
    mixes, _, frames, _ = spectra.shape
    return torch.zeros(mixes, 0, BANDS_384.n_bands, frames, device=spectra.device)


NO_CUE = Cue(0, _nothing)
CUES = {
    "none": NO_CUE,
    "short-windows": Cue(SHORT_WINDOWS, short_windows),
    "phase": Cue(4, phase),
    "channels": Cue(2, channels),
    "tonality": Cue(2, tonality),
}


def network_input(spectra: Tensor, cue: str) -> Tensor:
    """What a network that was trained with a cue sees of a song.

    Complex ``(2, frames, bins)`` -> ``(planes, bands, frames)``.
    """
    return torch.cat([features.features(features.planes(spectra)), CUES[cue].of(spectra[None])[0]])
