"""Consistency: outputs that claim the same sound share it, so that together they claim no more than there is.

Networks with a head of its own for each of many instruments are trained head by head: a violin may come out of ``strings``
and of ``woodwinds`` too. Where the magnitudes of the outputs add up to more than that of the song at a point of time and
frequency, all are scaled down there by one factor; elsewhere they are left alone, with the phases that the network gave.
"""

from __future__ import annotations

import numpy as np
import scipy.signal
from numpy.typing import NDArray

Samples = NDArray[np.float32]

N_FFT = 2048
HOP = 512
_TINY = 1e-9


def consistent(outputs: Samples, song: Samples) -> Samples:
    """The outputs, none of whose sums of magnitudes is above the song's.

    Args:
        outputs: ``(outputs, channels, samples)``.
        song: ``(channels, samples)``.

    Returns:
        ``(outputs, channels, samples)``.
    """
    length = song.shape[-1]
    stft = scipy.signal.ShortTimeFFT(scipy.signal.windows.hann(N_FFT, sym=False), HOP, fs=1)
    there = np.abs(stft.stft(song))  # (channels, bins, frames)
    spectra = stft.stft(outputs)  # (outputs, channels, bins, frames)
    claimed = np.abs(spectra).sum(axis=0)
    spectra *= np.minimum(1.0, there / np.maximum(claimed, _TINY))
    back: Samples = stft.istft(spectra, k1=length).astype(np.float32)
    return back
