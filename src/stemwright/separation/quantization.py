"""Quantizes the parts of a song such that they still add up, and measures peak, level and residual."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Values = NDArray[np.int32] | Samples

EXACT_DB = -200.0
"""Reported for a residual that is exactly zero."""


@dataclass(frozen=True)
class Quantization:
    """Conversion of samples to the values that are written.

    Attributes:
        bits: depth of the integers, 16 or 24; None for floats.
        limited: whether full scale is a limit (integers and lossy formats) or not (float files, arrays).
        gain: one factor for all parts; 1 unless a part would exceed full scale.
    """

    bits: int | None
    limited: bool
    gain: float = 1.0

    @property
    def full_scale(self) -> float:
        """The integer value of 1.0, or 1 for floats."""
        return float(1 << (self.bits - 1)) if self.bits else 1.0

    @property
    def ceiling(self) -> float:
        """Highest peak after the gain, in units of full scale.

        Rounding eleven parts can change the remainder by six quantization steps, so 16 are reserved; floats need less.
        """
        return 1 - 16 / self.full_scale if self.bits else 1 - 1e-6

    def apply(self, samples: Samples) -> Values:
        """``(channels, samples)`` floats -> integers or floats, with the gain applied.

        Without a gain the factor is a power of two, so integers of up to 24 bits come back unchanged.
        """
        scaled = samples * np.float32(self.gain * self.full_scale)
        return np.rint(scaled).astype(np.int32) if self.bits else scaled

    def exceeds(self, values: Values) -> bool:
        """Whether a value is beyond full scale."""
        if not self.limited or not values.size:
            return False
        highest = self.full_scale - 1 if self.bits else 1.0
        return bool(values.max() > highest or values.min() < -self.full_scale)


class PartMeter:
    """Peak and level of one part as it was written."""

    def __init__(self, quantization: Quantization) -> None:
        self._quantization = quantization
        self._energy = 0.0
        self._n_values = 0
        self.peak = 0.0
        self.exceeded = False

    def add(self, values: Values) -> None:
        """Adds the next ``(channels, samples)``."""
        if not values.size:
            return
        scale = self._quantization.full_scale
        self.peak = max(self.peak, float(values.max()) / scale, -float(values.min()) / scale)
        # not np.dot: its threads compete with the thread pool, 25 times slower
        self._energy += float(np.square(values, dtype=np.float64).sum()) / scale**2
        self._n_values += values.size
        self.exceeded = self.exceeded or self._quantization.exceeds(values)

    @property
    def peak_db(self) -> float | None:
        """Peak in dB of full scale; None for silence."""
        return _db(self.peak)

    @property
    def level_db(self) -> float | None:
        """Root mean square in dB of full scale; None for silence."""
        return _db(float(np.sqrt(self._energy / max(1, self._n_values))))


class ResidualMeter:
    """The difference between the sum of the written parts and the input."""

    def __init__(self, quantization: Quantization) -> None:
        self._quantization = quantization
        self._residual = 0.0
        self._peak = 0.0

    def add(self, mix: Samples, values: Sequence[Values]) -> None:
        """Adds the next block: the input ``(channels, samples)`` and the values of all parts in the same shape."""
        if not mix.size:
            return
        total = np.zeros(mix.shape, np.float64)
        for value in values:
            total += value
        total /= self._quantization.full_scale
        total -= mix * np.float64(self._quantization.gain)
        self._residual = max(self._residual, float(total.max()), -float(total.min()))
        self._peak = max(self._peak, float(mix.max()), -float(mix.min()))

    @property
    def residual_db(self) -> float:
        """Peak of (sum of parts - gain x input) in dB of that input's peak; -200 where it is exactly zero."""
        if self._residual == 0:
            return EXACT_DB
        return max(EXACT_DB, 20 * float(np.log10(self._residual / (self._peak * self._quantization.gain))))


def remainder(whole: Values, others: Sequence[Values]) -> Values:
    """The quantized input less the other parts, so that all parts add up to ``whole``."""
    if whole.dtype == np.int32:
        return np.subtract(whole, sum(others, np.zeros_like(whole)), dtype=np.int32)
    difference = whole.astype(np.float64)
    for values in others:
        difference -= values
    return difference.astype(np.float32)


def _db(amplitude: float) -> float | None:
    return 20 * float(np.log10(amplitude)) if amplitude > 0 else None
