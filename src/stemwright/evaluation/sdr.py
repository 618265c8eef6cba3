"""The plain signal-to-distortion ratio, over all samples and channels.

SDR = 10 log10( sum ref^2 / sum (ref - est)^2 ), the "global SDR" of the Music Demixing Challenge (Mitsufuji et al.,
2021), without its division of the song into seconds. A silent estimate scores 0 dB; an estimate worse than
silence is negative.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.floating]

LIMIT_DB = 200.0
"""Replaces infinity, so that all values can be written as JSON: an identical estimate scores +200 dB."""


def ratio_db(part: float, whole: float) -> float:
    """``10 log10(part / whole)`` of two energies, within ``-LIMIT_DB .. LIMIT_DB``."""
    if part <= 0.0:
        return -LIMIT_DB
    if whole <= 0.0:
        return LIMIT_DB
    return max(-LIMIT_DB, min(LIMIT_DB, 10.0 * (math.log10(part) - math.log10(whole))))


def energy(samples: Samples) -> float:
    """Sum of the squares of all samples, in double precision."""
    flat = np.asarray(samples, dtype=np.float64).ravel()
    return float(np.einsum("i,i->", flat, flat))  # np.dot waits for BLAS threads on a busy machine


class RunningSdr:
    """Computes the SDR block by block, so a song need not fit in memory."""

    def __init__(self) -> None:
        self.reference = 0.0
        self.error = 0.0

    def add(self, reference: Samples, estimate: Samples) -> None:
        """Adds the next block of both, ``(channels, samples)`` each."""
        self.reference += energy(reference)
        self.error += energy(np.asarray(reference, dtype=np.float64) - estimate)

    @property
    def db(self) -> float | None:
        """The SDR in dB; None for a silent reference, where it is undefined."""
        return None if self.reference == 0.0 else ratio_db(self.reference, self.error)


def sdr_db(reference: Samples, estimate: Samples) -> float | None:
    """SDR of a whole signal, ``(channels, samples)``; None for a silent reference."""
    running = RunningSdr()
    running.add(reference, estimate)
    return running.db
