"""The short-time Fourier transform of one chunk, as around the graphs of published ONNX files.

Unlike ``separation/stft``, which streams whole songs, it has any hop, and centred frames with padded ends as
``torch.stft`` has. The inverse divides by the sum of the squared windows (Griffin & Lim 1984, eq. 6).
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stemwright.fft import irfft, rfft
from stemwright.models.onnx_contract import GraphTransform

Samples = NDArray[np.float32]
Spectrum = NDArray[np.complex64]

_LEAST_ENVELOPE = 1e-6
"""Samples with a smaller sum of squared windows are set to zero: without centred frames these are the ends."""


class ChunkStft:
    """Transforms chunks of one length.

    Args:
        transform: sizes of the transform.
        n_samples: length of a chunk.
    """

    def __init__(self, transform: GraphTransform, n_samples: int) -> None:
        self._transform = transform
        self._n_samples = n_samples
        self._n_frames = transform.n_frames(n_samples)
        self._before = transform.lead_samples
        covered = (self._n_frames - 1) * transform.hop + transform.n_fft
        self._after = max(0, covered - self._before - n_samples)
        self._scale = np.float32(transform.n_fft**-0.5 if transform.normalised else 1.0)

    @cached_property
    def window(self) -> Samples:
        """The window in the middle of the frame, ``(n_fft,)``."""
        length = self._transform.window_samples
        before = (self._transform.n_fft - length) // 2
        window = np.zeros(self._transform.n_fft, np.float32)
        hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(length) / length)
        window[before : before + length] = hann if self._transform.window == "hann" else 1
        return window

    @cached_property
    def _gain(self) -> Samples:
        """The inverse of the sum of squared windows, ``(samples,)``."""
        squares = self.window.astype(np.float64) ** 2
        if self._transform.envelope == "infinite":
            one_hop = squares.reshape(-1, self._transform.hop).sum(axis=0)
            envelope = one_hop[(np.arange(self._n_samples) + self._before) % self._transform.hop]
        else:
            frames = np.broadcast_to(squares, (1, self._n_frames, self._transform.n_fft))
            envelope = self._overlapped(frames)[0]
        return np.where(envelope > _LEAST_ENVELOPE, 1 / np.maximum(envelope, _LEAST_ENVELOPE), 0).astype(np.float32)

    def forward(self, samples: Samples) -> Spectrum:
        """``(channels, samples)`` -> ``(channels, frames, bins)``, all bins of the FFT."""
        n_fft, hop = self._transform.n_fft, self._transform.hop
        if self._before or self._after:
            mode = "reflect" if self._transform.padding == "reflect" else "constant"
            samples = np.pad(samples, ((0, 0), (self._before, self._after)), mode=mode)  # type: ignore[call-overload]
        frames = np.lib.stride_tricks.sliding_window_view(samples, n_fft, axis=1)[:, ::hop]
        return rfft(frames[:, : self._n_frames], self.window * self._scale)

    def inverse(self, spectrum: Spectrum) -> Samples:
        """``(channels, frames, bins)`` -> ``(channels, samples)``. Bins above those given are zero."""
        frames = irfft(spectrum, self._transform.n_fft)
        frames *= self.window / self._scale
        return self._overlapped(frames) * self._gain

    def _overlapped(self, frames: NDArray[np.floating]) -> Samples:
        """``(channels, frames, n_fft)`` -> ``(channels, samples)``: the frames added, and the padding cut off."""
        hop = self._transform.hop
        ratio = -(-self._transform.n_fft // hop)  # hops in a frame, the last one maybe in part
        whole = np.zeros((len(frames), self._n_frames + ratio, hop), frames.dtype)
        for step in range(ratio):
            piece = frames[..., step * hop : (step + 1) * hop]
            whole[:, step : step + self._n_frames, : piece.shape[-1]] += piece
        samples = whole.reshape(len(frames), -1)[:, self._before : self._before + self._n_samples]
        missing = self._n_samples - samples.shape[1]
        return np.pad(samples, ((0, 0), (0, missing))) if missing > 0 else samples
