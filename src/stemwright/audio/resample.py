"""Sample-accurate resampling of a stream."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

QUALITY = "VHQ"


def resampled_length(samples: int, in_rate: int, out_rate: int) -> int:
    """Length after resampling: ``round(samples * out_rate / in_rate)``, at least 1 unless ``samples`` is 0."""
    if samples == 0:
        return 0
    return max(1, round(Fraction(samples * out_rate, in_rate)))


class Resampler:
    """Resamples a stream of float32 blocks ``(channels, samples)`` with soxr, with linear phase and no delay.

    The output of a whole stream has ``resampled_length`` samples and does not depend on the block sizes.
    """

    def __init__(self, in_rate: int, out_rate: int, channels: int) -> None:
        self.in_rate = in_rate
        self.out_rate = out_rate
        self.channels = channels
        self._taken = 0
        self._given = 0
        self._stream: Any = None
        if in_rate != out_rate:
            import soxr

            self._stream = soxr.ResampleStream(in_rate, out_rate, channels, dtype="float32", quality=QUALITY)

    def process(self, block: NDArray[np.float32], last: bool = False) -> NDArray[np.float32]:
        """Resamples a block; returns ``(channels, samples)``, possibly empty, and all the rest if ``last``."""
        if self._stream is None:
            return block
        self._taken += block.shape[1]
        frames = np.ascontiguousarray(block.T, dtype=np.float32)  # (channels, samples) to (samples, channels)
        # soxr takes mono as a vector or as one column; a column keeps one shape for all.
        out: NDArray[np.float32] = self._stream.resample_chunk(frames, last=last).T  # back to (channels, samples)
        if last:
            # soxr rounds the length differently, by up to a sample.
            missing = resampled_length(self._taken, self.in_rate, self.out_rate) - self._given - out.shape[1]
            out = np.pad(out, ((0, 0), (0, missing))) if missing > 0 else out[:, : out.shape[1] + missing]
        self._given += out.shape[1]
        return np.ascontiguousarray(out)
