"""SI-SDR: scale-invariant SDR, with the reference scaled to the best fit.

Le Roux, Wisdom, Erdogan and Hershey, "SDR: half-baked or well done?", ICASSP 2019, without removal of the mean:

    SI-SDR = 10 log10( |a ref|^2 / |est - a ref|^2 ),   a = <est, ref> / |ref|^2

over all samples and channels, with one ``a`` per song. It ignores a wrong level of the estimate, so it does not show
whether stems add up.

Memory: three sums.
"""

from __future__ import annotations

import numpy as np

from stemwright.evaluation.sdr import Samples, energy, ratio_db


class RunningSiSdr:
    """Computes SI-SDR block by block."""

    def __init__(self) -> None:
        self._scale: float | None = None
        self._reference = 0.0
        self._error = 0.0
        self._product = 0.0

    def add(self, reference: Samples, estimate: Samples) -> None:
        """Adds the next block of both, ``(channels, samples)`` each."""
        truth, guess = np.asarray(reference, dtype=np.float64), np.asarray(estimate, dtype=np.float64)
        sounding = energy(truth)
        if self._scale is None and sounding > 0.0:
            # an approximate scale, so that sums of small differences stay exact for nearly equal signals
            self._scale = _product(guess, truth) / sounding
        error = guess - (self._scale or 0.0) * truth
        self._reference += sounding
        self._error += energy(error)
        self._product += _product(error, truth)

    @property
    def db(self) -> float | None:
        """The SI-SDR in dB; None for a silent reference."""
        if self._scale is None:
            return None
        change = self._product / self._reference
        kept = (self._scale + change) ** 2 * self._reference
        return ratio_db(kept, self._error - change * self._product)


def _product(one: Samples, other: Samples) -> float:
    return float(np.einsum("ij,ij->", one, other))
