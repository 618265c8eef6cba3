"""Confusion matrix of stem energy: a row for each true stem, a column for each estimate."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from stemwright.evaluation.stft_stream import Samples, spectra

_TINY = np.float32(1e-20)


def energy_shares(blocks: Iterable[Samples], n_references: int) -> NDArray[np.float64]:
    """Share of each true stem's energy in each estimate, ``(references, estimates)``; rows sum to one.

    In each bin of the STFT the energy of a true stem is divided among the estimates by their magnitudes,
    ``|S_i|^2 |E_j| / sum_k |E_k|``. The row of a silent true stem is zero.

    Args:
        blocks: ``(references + estimates, channels, samples)``, the true stems first.
        n_references: number of true stems.
    """
    taken = np.zeros((n_references, 0))
    for block in spectra(blocks):
        energies = np.abs(block[:n_references]) ** 2
        magnitudes = np.abs(block[n_references:])
        shares = magnitudes / (magnitudes.sum(axis=0) + _TINY)
        # (references, points) @ (points, estimates)
        part = energies.reshape(n_references, -1).astype(np.float64) @ shares.reshape(len(shares), -1).T
        taken = taken + part if taken.size else part
    totals: NDArray[np.float64] = taken.sum(axis=1, keepdims=True)
    return taken / np.maximum(totals, np.finfo(np.float64).tiny)
