"""L1-freq: how far magnitude spectra are apart, on a scale of 0 to 100.

As in Music-Source-Separation-Training (``utils/metrics.py``, ``L1Freq_metric``; there is no paper):

    100 / (1 + 10 mean | |STFT(est)| - |STFT(ref)| |)

over channels, frames and bins of an STFT of 2,048 points at every 1,024th sample, without a window, the signal mirrored at
its ends. It depends on the level of the song.

Memory: a few frames.
"""

from __future__ import annotations

import numpy as np

from stemwright.evaluation.metrics.magnitude_stream import Float32, MagnitudeStream
from stemwright.evaluation.sdr import Samples

N_FFT = 2048
HOP = 1024


class RunningL1Freq:
    """An L1-freq that is fed block by block."""

    def __init__(self) -> None:
        self._reference = MagnitudeStream(N_FFT, HOP, None, "reflect")
        self._estimate = MagnitudeStream(N_FFT, HOP, None, "reflect")
        self._sum = 0.0
        self._count = 0

    def add(self, reference: Samples, estimate: Samples) -> None:
        """Takes the next block of both, ``(channels, samples)`` each."""
        self._compare(self._reference.add(reference), self._estimate.add(estimate))

    def close(self) -> float | None:
        """The song has ended: the figure; None where there was no song."""
        self._compare(self._reference.close(), self._estimate.close())
        return 100.0 / (1.0 + 10.0 * self._sum / self._count) if self._count else None

    def _compare(self, reference: Float32, estimate: Float32) -> None:
        self._sum += float(np.abs(estimate - reference).sum(dtype=np.float64))
        self._count += reference.size
