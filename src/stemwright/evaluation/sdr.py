"""The plain signal-to-distortion ratio, over all samples and channels.

SDR = 10 log10( sum ref^2 / sum (ref - est)^2 ), the "global SDR" of the Music Demixing Challenge (Mitsufuji et al.,
2021), without its division of the song into seconds. Silence as an estimate scores 0 dB; an estimate that is worse than
silence is negative.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.floating]

LIMIT_DB = 200.0
"""Stands for infinity, so that every figure can be written as JSON: an identical estimate scores +200 dB."""


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
    return float(np.einsum("i,i->", flat, flat))  # a BLAS dot waits for its threads on a busy machine


class RunningSdr:
    """An SDR that is fed block by block, so that a song need not fit in memory."""

    def __init__(self) -> None:
        self.reference = 0.0
        self.error = 0.0

    def add(self, reference: Samples, estimate: Samples) -> None:
        """Takes the next block of both, ``(channels, samples)`` each."""
        self.reference += energy(reference)
        self.error += energy(np.asarray(reference, dtype=np.float64) - estimate)

    @property
    def db(self) -> float | None:
        """The SDR in dB; None for a silent reference, which no estimate can be compared to."""
        return None if self.reference == 0.0 else ratio_db(self.reference, self.error)


def sdr_db(reference: Samples, estimate: Samples) -> float | None:
    """SDR of one whole signal, ``(channels, samples)``; None for a silent reference."""
    running = RunningSdr()
    running.add(reference, estimate)
    return running.db
