"""L1-freq: the L1 distance of magnitude spectrograms, on a scale of 0 to 100.

As in Music-Source-Separation-Training (``utils/metrics.py``, ``L1Freq_metric``; there is no paper):

    100 / (1 + 10 mean | |STFT(est)| - |STFT(ref)| |)

over channels, frames and bins of an STFT with FFT size 2,048, hop 1,024, no window, and reflection padding. It depends
on the level of the song.

Memory: a few frames.
"""

from __future__ import annotations

import numpy as np

from stemwright.evaluation.metrics.magnitude_stream import Float32, MagnitudeStream
from stemwright.evaluation.sdr import Samples

N_FFT = 2048
HOP = 1024
_NO_WINDOW = np.ones(N_FFT, np.float32)


class RunningL1Freq:
    """Computes L1-freq block by block."""

    def __init__(self) -> None:
        self._reference = MagnitudeStream(N_FFT, HOP, _NO_WINDOW, "reflect")
        self._estimate = MagnitudeStream(N_FFT, HOP, _NO_WINDOW, "reflect")
        self._sum = 0.0
        self._count = 0

    def add(self, reference: Samples, estimate: Samples) -> None:
        """Adds the next block of both, ``(channels, samples)`` each."""
        self._compare(self._reference.add(reference), self._estimate.add(estimate))

    def close(self) -> float | None:
        """The score, at the end of the song; None for an empty song."""
        self._compare(self._reference.close(), self._estimate.close())
        return 100.0 / (1.0 + 10.0 * self._sum / self._count) if self._count else None

    def _compare(self, reference: Float32, estimate: Float32) -> None:
        self._sum += float(np.abs(estimate - reference).sum(dtype=np.float64))
        self._count += reference.size
