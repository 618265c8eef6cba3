"""log-WMSE: frequency-weighted energy of the error relative to the mix; defined for silent references too.

Jordal and others, package ``log-wmse-audio-quality``; the weighting follows Fenton and Lee, 2017. As in
``torch-log-wmse`` 1.1, for every channel ``c``

    4 ln( 1 / ( |h * (est_c - ref_c)|^2 / |h * mix_c|^2 + 1e-8 ) )

averaged over channels, where ``h`` is the weighting filter. An exact estimate scores 73.7, an error as loud as the mix
0. Older packages set error samples 68 dB or more below the mix to zero, which only changes scores above about 55.

``h`` has linear phase and the magnitude response of a cascade of filters at 44.1 kHz: a high shelf of 5 dB at 1.5 kHz,
a peak of 2.5 dB at 500 Hz (both R. Bristow-Johnson's), a second-order Butterworth high-pass at 120 Hz, and a
first-order low-pass at 10 kHz, applied twice. Songs at other rates are weighted by the same curve.

Memory: a block of audio and 0.1 s.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

from stemwright.evaluation.sdr import Samples

DESIGN_RATE_HZ = 44_100
N_DESIGN = 8192
N_TAPS = 4000
BLOCK_SAMPLES = 2**16
_FLOOR = 1e-8
_SILENCE = 1e-16  # mean square below which a mix is silent

Signal = NDArray[np.float64]


class WeightedEnergy:
    """Computes the energy of each channel of a weighted signal, block by block.

    Args:
        sample_rate: Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._taps = weighting(sample_rate)
        self._energies: Signal | None = None
        self._tail: Signal | None = None
        self.samples = 0

    def add(self, block: Samples) -> None:
        """Adds ``(channels, samples)``."""
        for start in range(0, block.shape[-1], BLOCK_SAMPLES):
            self._add(np.asarray(block[:, start : start + BLOCK_SAMPLES], dtype=np.float64))

    def _add(self, block: Signal) -> None:
        length = block.shape[-1]
        done = _convolved(block, self._taps)
        if self._tail is not None:
            done[:, : self._tail.shape[-1]] += self._tail
        self.samples += length
        self._tail = done[:, length:]
        energies = np.sum(done[:, :length] ** 2, axis=-1)
        self._energies = energies if self._energies is None else self._energies + energies

    @property
    def energies(self) -> Signal:
        """The energy of each channel so far, including the filter's tail after the last sample, ``(channels,)``."""
        if self._energies is None or self._tail is None:
            return np.zeros(0)
        total: Signal = self._energies + np.sum(self._tail**2, axis=-1)
        return total


def log_wmse(error: WeightedEnergy, mix: WeightedEnergy) -> float:
    """The score of an estimate.

    Args:
        error: energy of ``estimate - reference``.
        mix: energy of the mix, with the same number of samples.
    """
    mean_square = np.maximum(mix.energies / mix.samples, _SILENCE)
    weighted = error.energies / error.samples / mean_square
    return float(np.mean(-4.0 * np.log(weighted + _FLOOR)))


@cache
def weighting(sample_rate: int) -> Signal:
    """The filter ``h`` at a rate in Hz, ``(0.09 s,)``."""
    n_fft = 2 * round(N_DESIGN / 2 * sample_rate / DESIGN_RATE_HZ)
    n_taps = 2 * round(N_TAPS / 2 * sample_rate / DESIGN_RATE_HZ)
    hertz = np.arange(n_fft // 2 + 1) * sample_rate / n_fft
    response: Signal = np.roll(np.fft.irfft(_magnitude(hertz), n_fft), n_taps // 2)
    return response[:n_taps]


def _magnitude(hertz: Signal) -> Signal:
    """Magnitude response of the filters at 44.1 kHz; zero from half that rate."""
    delay = np.exp(-2j * np.pi * np.minimum(hertz, DESIGN_RATE_HZ / 2) / DESIGN_RATE_HZ)  # 1 / z on the unit circle
    low_pass = _low_pass(10_000.0)
    magnitude = np.ones_like(hertz)
    for section in (_shelf(1500.0, 5.0), _high_pass(120.0), _peak(500.0, 2.5, 1.5 / np.sqrt(2.0)), low_pass, low_pass):
        numerator, denominator = (np.polyval(row[::-1], delay) for row in section)
        magnitude *= np.abs(numerator / denominator)
    return magnitude


def _convolved(block: Signal, taps: Signal) -> Signal:
    """``(channels, samples)`` and ``(taps,)`` -> ``(channels, samples + taps - 1)``."""
    length = block.shape[-1] + len(taps) - 1
    n_fft = 1 << (length - 1).bit_length()
    return np.fft.irfft(np.fft.rfft(block, n_fft) * np.fft.rfft(taps, n_fft), n_fft)[:, :length]


def _low_pass(hertz: float) -> Signal:
    """A first-order Butterworth low-pass by the bilinear transform, ``(2, 2)``: numerator, denominator."""
    slope = np.tan(np.pi * hertz / DESIGN_RATE_HZ)
    return np.array([[slope, slope], [slope + 1.0, slope - 1.0]])


def _high_pass(hertz: float) -> Signal:
    """A second-order Butterworth high-pass by the bilinear transform, ``(2, 3)``: numerator, denominator."""
    slope = np.tan(np.pi * hertz / DESIGN_RATE_HZ)
    middle, root = 2.0 * (slope**2 - 1.0), np.sqrt(2.0) * slope
    return np.array([[1.0, -2.0, 1.0], [1.0 + root + slope**2, middle, 1.0 - root + slope**2]])


def _shelf(hertz: float, gain_db: float) -> Signal:
    """A high shelf with a Q of sqrt(1/2), ``(2, 3)``: numerator, denominator."""
    gain, angle = 10.0 ** (gain_db / 40.0), 2.0 * np.pi * hertz / DESIGN_RATE_HZ
    cos, slope = np.cos(angle), np.sin(angle) * np.sqrt(2.0 * gain)
    above, below = (gain + 1.0) + (gain - 1.0) * cos, (gain + 1.0) - (gain - 1.0) * cos
    numerator = gain * np.array([above + slope, -2.0 * ((gain - 1.0) + (gain + 1.0) * cos), above - slope])
    denominator = np.array([below + slope, 2.0 * ((gain - 1.0) - (gain + 1.0) * cos), below - slope])
    return np.stack([numerator, denominator])


def _peak(hertz: float, gain_db: float, q: float) -> Signal:
    """A peak, ``(2, 3)``: numerator, denominator."""
    gain, angle = 10.0 ** (gain_db / 40.0), 2.0 * np.pi * hertz / DESIGN_RATE_HZ
    alpha = np.sin(angle) / (2.0 * q)
    middle = -2.0 * np.cos(angle)
    numerator = np.array([1.0 + alpha * gain, middle, 1.0 - alpha * gain])
    denominator = np.array([1.0 + alpha / gain, middle, 1.0 - alpha / gain])
    return np.stack([numerator, denominator])
