"""Exactness: rounding the parts of a song so that they still add up, and keeping account of what was written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Values = NDArray[np.int32] | Samples

EXACT_DB = -200.0
"""Said of a residual that is exactly zero."""


@dataclass(frozen=True)
class Rounding:
    """How samples become what is written.

    Attributes:
        bits: depth of the integers, 16 or 24; None for floats.
        limited: whether full scale is a border (integers and lossy formats) or not (float files, arrays).
        gain: the one factor for all parts; 1 unless a part would leave full scale.
    """

    bits: int | None
    limited: bool
    gain: float = 1.0

    @property
    def full_scale(self) -> float:
        """The integer that 1.0 stands for, or 1 for floats."""
        return float(1 << (self.bits - 1)) if self.bits else 1.0

    @property
    def ceiling(self) -> float:
        """What a gain brings the highest peak to, in units of full scale.

        Eleven roundings may move the closing part by six integers: 16 are kept free. Floats keep room for their own.
        """
        return 1 - 16 / self.full_scale if self.bits else 1 - 1e-6

    def apply(self, samples: Samples) -> Values:
        """``(channels, samples)`` floats -> integers, or floats, with the gain on them.

        Without a gain the product is by a power of two, so integers of up to 24 bits come back as they went in.
        """
        scaled = samples * np.float32(self.gain * self.full_scale)
        return np.rint(scaled).astype(np.int32) if self.bits else scaled

    def exceeds(self, values: Values) -> bool:
        """Whether some value cannot be written."""
        if not self.limited or not values.size:
            return False
        highest = self.full_scale - 1 if self.bits else 1.0
        return bool(values.max() > highest or values.min() < -self.full_scale)


class PartAccount:
    """Peak and energy of what was written of one part."""

    def __init__(self, rounding: Rounding) -> None:
        self._rounding = rounding
        self._energy = 0.0
        self._n_values = 0
        self.peak = 0.0
        self.exceeded = False

    def add(self, values: Values) -> None:
        """Counts the next ``(channels, samples)``."""
        if not values.size:
            return
        scale = self._rounding.full_scale
        self.peak = max(self.peak, float(values.max()) / scale, -float(values.min()) / scale)
        # not np.dot: its threads would wait for each other in the pool of parts, 25 times slower than the sum itself
        self._energy += float(np.square(values, dtype=np.float64).sum()) / scale**2
        self._n_values += values.size
        self.exceeded = self.exceeded or self._rounding.exceeds(values)

    @property
    def peak_db(self) -> float | None:
        """Peak in dB of full scale; None for silence."""
        return _db(self.peak)

    @property
    def level_db(self) -> float | None:
        """Root mean square in dB of full scale; None for silence."""
        return _db(float(np.sqrt(self._energy / max(1, self._n_values))))


class SumAccount:
    """How far the sum of what was written is from the input."""

    def __init__(self, rounding: Rounding) -> None:
        self._rounding = rounding
        self._residual = 0.0
        self._peak = 0.0

    def add(self, mix: Samples, values: Sequence[Values]) -> None:
        """Counts the next block: the input ``(channels, samples)``, and the values of all parts of that shape."""
        if not mix.size:
            return
        total = np.zeros(mix.shape, np.float64)
        for value in values:
            total += value
        total /= self._rounding.full_scale
        total -= mix * np.float64(self._rounding.gain)
        self._residual = max(self._residual, float(total.max()), -float(total.min()))
        self._peak = max(self._peak, float(mix.max()), -float(mix.min()))

    @property
    def residual_db(self) -> float:
        """Peak of (sum of parts - gain x input) in dB of that input's peak; -200 where it is exactly zero."""
        if self._residual == 0:
            return EXACT_DB
        return max(EXACT_DB, 20 * float(np.log10(self._residual / (self._peak * self._rounding.gain))))


def closing_part(whole: Values, others: Sequence[Values]) -> Values:
    """What the other parts leave of the rounded input: they and it add up to ``whole``."""
    if whole.dtype == np.int32:
        return np.subtract(whole, sum(others, np.zeros_like(whole)), dtype=np.int32)
    rest = whole.astype(np.float64)
    for values in others:
        rest -= values
    return rest.astype(np.float32)


def _db(amplitude: float) -> float | None:
    return 20 * float(np.log10(amplitude)) if amplitude > 0 else None
