"""Magnitude STFT of a stream, with the defaults of ``torch.stft``: frames are centred on multiples of the hop."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stemwright.evaluation.sdr import Samples
from stemwright.fft import rfft

Float32 = NDArray[np.float32]


class MagnitudeStream:
    """Computes magnitudes block by block. A signal of ``n`` samples has ``1 + n // hop`` frames.

    Args:
        n_fft: FFT size in samples; even.
        hop: hop size in samples.
        window: ``(n_fft,)``.
        padding: padding at both ends.
    """

    def __init__(self, n_fft: int, hop: int, window: Float32, padding: Literal["zeros", "reflect"]) -> None:
        self._n_fft = n_fft
        self._hop = hop
        self._window = window
        self._mode: Literal["constant", "reflect"] = "reflect" if padding == "reflect" else "constant"
        self._half = n_fft // 2
        self._started = False
        self._pending: Float32 | None = None
        self._previous_sample: Float32 | None = None  # the sample before the pending ones, for reflection at the end

    def add(self, block: Samples) -> Float32:
        """Adds ``(channels, samples)`` and returns the complete frames, ``(channels, frames, bins)``."""
        new = np.asarray(block, dtype=np.float32)
        pending = new if self._pending is None else np.concatenate([self._pending, new], axis=-1)
        if not self._started and pending.shape[-1] > self._half:
            pending = np.pad(pending, ((0, 0), (self._half, 0)), mode=self._mode)
            self._started = True
        return self._frames(pending)

    def close(self) -> Float32:
        """Returns the last frames, at the end of the signal."""
        if self._pending is None or self._pending.shape[-1] == 0:
            return np.zeros((1, 0, self._half + 1), np.float32)
        if not self._started:
            self._started = True
            return self._frames(np.pad(self._pending, ((0, 0), (self._half, self._half)), mode=self._mode))
        if self._previous_sample is None:
            return self._frames(np.pad(self._pending, ((0, 0), (0, self._half)), mode=self._mode))
        pending = np.concatenate([self._previous_sample, self._pending], axis=-1)
        return self._frames(np.pad(pending, ((0, 0), (0, self._half)), mode=self._mode)[:, 1:])

    def _frames(self, pending: Float32) -> Float32:
        n_frames = (pending.shape[-1] - self._n_fft) // self._hop + 1 if self._started else 0
        if n_frames < 1:
            self._pending = pending
            return np.zeros((len(pending), 0, self._half + 1), np.float32)
        stop = n_frames * self._hop
        windows = np.lib.stride_tricks.sliding_window_view(pending, self._n_fft, axis=-1)[:, : stop : self._hop]
        self._previous_sample, self._pending = pending[:, stop - 1 : stop], pending[:, stop:]
        magnitudes: Float32 = np.abs(rfft(windows, self._window))
        return magnitudes
