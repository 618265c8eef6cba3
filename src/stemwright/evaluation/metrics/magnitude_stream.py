"""Frames of a stream as ``torch.stft`` makes them with its defaults: every frame centred on a multiple of the hop."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from stemwright.evaluation.sdr import Samples

Float32 = NDArray[np.float32]


def hann(n_fft: int) -> Float32:
    """The periodic Hann window, ``(n_fft,)``."""
    return (0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(n_fft) / n_fft)).astype(np.float32)


class MagnitudeStream:
    """Magnitudes of a signal that comes block by block. A signal of ``n`` samples has ``1 + n // hop`` frames.

    Args:
        n_fft: samples of a frame; even.
        hop: samples between frames.
        window: what frames are multiplied with, ``(n_fft,)``; None for nothing.
        padding: what lies before and behind the signal: zeros, or the signal mirrored.
    """

    def __init__(self, n_fft: int, hop: int, window: Float32 | None, padding: Literal["zeros", "reflect"]) -> None:
        self._n_fft = n_fft
        self._hop = hop
        self._window = window
        self._mode: Literal["constant", "reflect"] = "reflect" if padding == "reflect" else "constant"
        self._half = n_fft // 2
        self._started = False
        self._held: Float32 | None = None
        self._before: Float32 | None = None  # the sample before those held, for the mirror at the end

    def add(self, block: Samples) -> Float32:
        """Takes ``(channels, samples)``, gives the frames that are complete, ``(channels, frames, bins)``."""
        new = np.asarray(block, dtype=np.float32)
        held = new if self._held is None else np.concatenate([self._held, new], axis=-1)
        if not self._started and held.shape[-1] > self._half:
            held = np.pad(held, ((0, 0), (self._half, 0)), mode=self._mode)
            self._started = True
        return self._frames(held)

    def close(self) -> Float32:
        """The signal has ended: gives the frames that are left."""
        if self._held is None or self._held.shape[-1] == 0:
            return np.zeros((1, 0, self._half + 1), np.float32)
        if not self._started:
            self._started = True
            return self._frames(np.pad(self._held, ((0, 0), (self._half, self._half)), mode=self._mode))
        if self._before is None:
            return self._frames(np.pad(self._held, ((0, 0), (0, self._half)), mode=self._mode))
        held = np.concatenate([self._before, self._held], axis=-1)
        return self._frames(np.pad(held, ((0, 0), (0, self._half)), mode=self._mode)[:, 1:])

    def _frames(self, held: Float32) -> Float32:
        from scipy.fft import rfft

        n_frames = (held.shape[-1] - self._n_fft) // self._hop + 1 if self._started else 0
        if n_frames < 1:
            self._held = held
            return np.zeros((len(held), 0, self._half + 1), np.float32)
        stop = n_frames * self._hop
        windows = np.lib.stride_tricks.sliding_window_view(held, self._n_fft, axis=-1)[:, : stop : self._hop]
        self._before, self._held = held[:, stop - 1 : stop], held[:, stop:]
        magnitudes: Float32 = np.abs(rfft(windows if self._window is None else windows * self._window, axis=-1))
        return magnitudes
