"""Bleedless and fullness: how much an estimate has too much, and how much it lacks, on scales of 0 to 100.

By jarredou, as in Music-Source-Separation-Training (``utils/metrics.py``, ``bleed_full``; there is no paper). Both signals
become mel spectrograms in dB: 512 bands of Slaney's scale, 4,096 points at every 1,024th sample, what lies more than 80 dB
under a signal's own loudest point raised to there. Of the difference ``est - ref`` at every point

    bleedless = 100 / (1 + mean of the positive ones)
    fullness  = 100 / (1 - mean of the negative ones)

A quiet estimate is bleedless, a loud one full: neither says anything alone.

The floor needs the loudest point first, so a song is read twice: ``survey`` all of it, then ``add`` all of it. Memory: a few
frames.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemwright.evaluation.metrics.magnitude_stream import Float32, MagnitudeStream, hann
from stemwright.evaluation.sdr import Samples

N_FFT = 4096
HOP = 1024
N_MELS = 512
RANGE_DB = 80.0
_MIN_MAGNITUDE = 1e-10


@dataclass(frozen=True)
class Bleed:
    """Both figures of one estimate."""

    bleedless: float
    fullness: float


class RunningBleed:
    """Both figures, fed block by block, twice.

    Args:
        sample_rate: Hz. The published code takes 44,100 for all; others have the same number of bands up to half the rate.
    """

    def __init__(self, sample_rate: int) -> None:
        self._bank = mel_bank(sample_rate)
        self._first = _stream(), _stream()
        self._second = _stream(), _stream()
        self._loudest = [-np.inf, -np.inf]
        self._first_pass_done = False
        self._sums = np.zeros(2)  # of what is too much, of what lacks
        self._counts = np.zeros(2)

    def add_first_pass(self, reference: Samples, estimate: Samples) -> None:
        """Takes the next block of both, ``(channels, samples)`` each, in the first reading."""
        self._find_loudest(self._first[0].add(reference), self._first[1].add(estimate))

    def add(self, reference: Samples, estimate: Samples) -> None:
        """Takes the next block of both, ``(channels, samples)`` each, in the second reading."""
        if not self._first_pass_done:
            self._find_loudest(self._first[0].close(), self._first[1].close())
            self._first_pass_done = True
        self._compare(self._second[0].add(reference), self._second[1].add(estimate))

    def close(self) -> Bleed:
        """The song has ended."""
        self._compare(self._second[0].close(), self._second[1].close())
        excess, deficit = self._sums / np.maximum(self._counts, 1.0)
        return Bleed(100.0 / (1.0 + float(excess)), 100.0 / (1.0 + float(deficit)))

    def _find_loudest(self, *magnitudes: Float32) -> None:
        for index, frames in enumerate(magnitudes):
            if frames.shape[1]:
                self._loudest[index] = max(self._loudest[index], float(self._mel_db(frames).max()))

    def _compare(self, *magnitudes: Float32) -> None:
        if not magnitudes[0].shape[1]:
            return
        reference, estimate = (
            np.maximum(self._mel_db(frames), loudest - RANGE_DB)
            for frames, loudest in zip(magnitudes, self._loudest, strict=True)
        )
        difference = estimate - reference
        for index, part in enumerate((difference[difference > 0], -difference[difference < 0])):
            self._sums[index] += part.sum(dtype=np.float64)
            self._counts[index] += part.size

    def _mel_db(self, magnitudes: Float32) -> Float32:
        """``(channels, frames, bins)`` -> ``(bands, channels * frames)`` in dB."""
        mel: Float32 = self._bank @ magnitudes.reshape(-1, magnitudes.shape[-1]).T
        return np.float32(20.0) * np.log10(np.maximum(mel, np.float32(_MIN_MAGNITUDE)))


def mel_bank(sample_rate: int) -> Any:
    """Triangles of area one on Slaney's mel scale from 0 Hz to half the rate, a sparse array ``(N_MELS, bins)``.

    Slaney, "Auditory Toolbox", 1998: linear to 1 kHz at 15 mel, from there 27 mel for every factor of 6.4.
    """
    from scipy.sparse import csr_array

    edges = _hertz(np.linspace(0.0, _mel(sample_rate / 2.0), N_MELS + 2))
    bins = np.arange(N_FFT // 2 + 1) * sample_rate / N_FFT
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
    weights = np.maximum(0.0, np.minimum(rising, falling)) * 2.0 / (high - low)
    return csr_array(weights.astype(np.float32))


def _mel(hertz: float) -> float:
    return hertz * 3.0 / 200.0 if hertz < 1000.0 else 15.0 + 27.0 * float(np.log(hertz / 1000.0) / np.log(6.4))


def _hertz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mels < 15.0, mels * 200.0 / 3.0, 1000.0 * 6.4 ** ((mels - 15.0) / 27.0))


def _stream() -> MagnitudeStream:
    return MagnitudeStream(N_FFT, HOP, hann(N_FFT), "zeros")
