"""Bleedless and fullness: how little an estimate adds to the reference, and how little it lacks, from 0 to 100.

By jarredou, as in Music-Source-Separation-Training (``utils/metrics.py``, ``bleed_full``; there is no paper). Both signals
are converted to mel spectrograms in dB: 512 bands on Slaney's scale, FFT size 4,096, hop 1,024, with a floor 80 dB
below each signal's own maximum. With the difference ``est - ref`` in every bin

    bleedless = 100 / (1 + mean of the positive values)
    fullness  = 100 / (1 - mean of the negative values)

A quiet estimate has high bleedless, a loud one high fullness, so neither is meaningful alone.

The floor depends on the maximum, so a song is read twice: first with ``add_first_pass``, then with ``add``. Memory: a
few frames.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stemwright.evaluation.metrics.magnitude_stream import Float32, MagnitudeStream
from stemwright.evaluation.sdr import Samples
from stemwright.fft import hann

N_FFT = 4096
HOP = 1024
N_MELS = 512
RANGE_DB = 80.0
_MIN_MAGNITUDE = 1e-10


@dataclass(frozen=True)
class Bleed:
    """Both scores of one estimate."""

    bleedless: float
    fullness: float


@dataclass(frozen=True)
class _BandGroup:
    """Neighbouring bands, and the bins that they cover. Products of dense groups are faster than one of all bins."""

    bins: slice
    weights: Float32  # (bands, bins)


class RunningBleed:
    """Computes both scores block by block, in two passes.

    Args:
        sample_rate: Hz. Published code assumes 44,100; other rates have the same number of bands up to half the rate.
    """

    def __init__(self, sample_rate: int) -> None:
        self._groups = _band_groups(mel_bank(sample_rate))
        self._first = _stream(), _stream()
        self._second = _stream(), _stream()
        self._loudest = [-np.inf, -np.inf]
        self._first_pass_done = False
        self._sums = np.zeros(2)  # of positive and of negative differences
        self._counts = np.zeros(2)

    def add_first_pass(self, reference: Samples, estimate: Samples) -> None:
        """Adds the next block of both, ``(channels, samples)`` each, in the first pass."""
        self._find_loudest(self._first[0].add(reference), self._first[1].add(estimate))

    def add(self, reference: Samples, estimate: Samples) -> None:
        """Adds the next block of both, ``(channels, samples)`` each, in the second pass."""
        if not self._first_pass_done:
            self._find_loudest(self._first[0].close(), self._first[1].close())
            self._first_pass_done = True
        self._compare(self._second[0].add(reference), self._second[1].add(estimate))

    def close(self) -> Bleed:
        """The scores, at the end of the song."""
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
        """``(channels, frames, bins)`` -> ``(channels * frames, bands)`` in dB."""
        frames = magnitudes.reshape(-1, magnitudes.shape[-1])
        mel: Float32 = np.concatenate([frames[:, group.bins] @ group.weights.T for group in self._groups], axis=1)
        return np.float32(20.0) * np.log10(np.maximum(mel, np.float32(_MIN_MAGNITUDE)))


def mel_bank(sample_rate: int) -> Float32:
    """Mel filter bank on Slaney's scale, from 0 Hz to half the rate, triangles of area one: ``(N_MELS, bins)``.

    Slaney, "Auditory Toolbox", 1998: linear up to 1 kHz (15 mel), then 27 mel per factor of 6.4.
    """
    edges = _hertz(np.linspace(0.0, _mel(sample_rate / 2.0), N_MELS + 2))
    bins = np.arange(N_FFT // 2 + 1) * sample_rate / N_FFT
    low, middle, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    rising, falling = (bins - low) / (middle - low), (high - bins) / (high - middle)
    weights = np.maximum(0.0, np.minimum(rising, falling)) * 2.0 / (high - low)
    return weights.astype(np.float32)


def _band_groups(bank: Float32, n_bands: int = 16) -> list[_BandGroup]:
    groups = []
    for start in range(0, len(bank), n_bands):
        bands = bank[start : start + n_bands]
        covered = np.flatnonzero(bands.any(axis=0))
        bins = slice(int(covered[0]), int(covered[-1]) + 1) if len(covered) else slice(0)
        groups.append(_BandGroup(bins, bands[:, bins]))
    return groups


def _mel(hertz: float) -> float:
    return hertz * 3.0 / 200.0 if hertz < 1000.0 else 15.0 + 27.0 * float(np.log(hertz / 1000.0) / np.log(6.4))


def _hertz(mels: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mels < 15.0, mels * 200.0 / 3.0, 1000.0 * 6.4 ** ((mels - 15.0) / 27.0))


def _stream() -> MagnitudeStream:
    return MagnitudeStream(N_FFT, HOP, hann(N_FFT), "zeros")
