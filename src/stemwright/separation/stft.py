"""Streaming short-time Fourier transform and its inverse.

Hann windows for analysis and synthesis. With ``R = n_fft / hop`` frames over every sample, the squared periodic Hann
windows add up to ``3 R / 8`` everywhere (Griffin & Lim 1984, eq. 6, for a window whose square has constant overlap), so
unmodified frames give the samples back to float rounding, and masks that sum to one give stems that sum to the input.

The stream begins ``n_fft - hop`` zeros before the first sample, so that the first samples have their full ``R`` frames too;
frame ``k`` is then centred on sample ``(k + 1) hop - n_fft / 2``.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stemwright.fft import hann, irfft, is_fast_length, rfft

Samples = NDArray[np.float32]
Spectrum = NDArray[np.complex64]


@dataclass(frozen=True)
class Stft:
    """FFT size and hop size in samples. ``n_fft`` is a multiple of ``hop``, at least three times."""

    n_fft: int
    hop: int

    def __post_init__(self) -> None:
        """Raises ValueError if the windows would not add up to a constant."""
        if self.n_fft % self.hop or self.n_fft < 3 * self.hop:
            raise ValueError(f"a hop of {self.hop} does not tile an STFT of {self.n_fft}")

    @property
    def n_bins(self) -> int:
        """Bins of one frame."""
        return self.n_fft // 2 + 1

    @cached_property
    def window(self) -> Samples:
        """The periodic Hann window, ``(n_fft,)``."""
        return hann(self.n_fft)

    @cached_property
    def synthesis_window(self) -> Samples:
        """The synthesis window, ``(n_fft,)``: Hann divided by the sum of the squared windows."""
        return self.window / np.float32(3 * self.n_fft / (8 * self.hop))

    def n_frames(self, n_samples: int) -> int:
        """Frames that cover ``n_samples`` samples, each sample ``n_fft / hop`` times."""
        return -(-(n_samples + self.n_fft - self.hop) // self.hop) if n_samples else 0

    def at_rate(self, own_rate: int, other_rate: int) -> Stft:
        """The transform of nearly the same duration at another rate, with an efficient FFT size."""
        if own_rate == other_rate:
            return self
        ratio = self.n_fft // self.hop
        hop = max(1, round(self.hop * other_rate / own_rate))
        while not is_fast_length(ratio * hop) or ratio * hop % 2:
            hop += 1
        return Stft(ratio * hop, hop)


class Analysis:
    """Converts blocks of samples of any length to frames."""

    def __init__(self, stft: Stft, channels: int) -> None:
        self._stft = stft
        self._pending = np.zeros((channels, stft.n_fft - stft.hop), np.float32)
        self._n_samples = 0
        self._n_frames = 0

    def push(self, block: Samples) -> Spectrum:
        """``(channels, samples)`` -> the frames that are complete now, ``(frames, channels, bins)``, maybe none."""
        self._n_samples += block.shape[1]
        return self._frames(np.concatenate([self._pending, block], axis=1))

    def finish(self) -> Spectrum:
        """The last frames, zero-padded at the end: ``(frames, channels, bins)``."""
        missing = self._stft.n_frames(self._n_samples) - self._n_frames
        length = self._stft.n_fft + (missing - 1) * self._stft.hop
        padded = np.zeros((len(self._pending), max(length, 0)), np.float32)
        if missing > 0:
            padded[:, : self._pending.shape[1]] = self._pending
        return self._frames(padded)

    def _frames(self, samples: Samples) -> Spectrum:
        n_fft, hop = self._stft.n_fft, self._stft.hop
        count = max(0, (samples.shape[1] - n_fft) // hop + 1)
        self._pending = samples[:, count * hop :]
        self._n_frames += count
        if not count:
            return np.zeros((0, len(samples), self._stft.n_bins), np.complex64)
        windows = np.lib.stride_tricks.sliding_window_view(samples, n_fft, axis=1)[:, ::hop]
        return rfft(windows.swapaxes(0, 1), self._stft.window)  # (frames, channels, n_fft) -> (frames, channels, bins)


class Synthesis:
    """Converts frames to samples: the inverse of ``Analysis``, one hop of samples per frame."""

    def __init__(self, stft: Stft, channels: int) -> None:
        self._stft = stft
        overhang = stft.n_fft // stft.hop - 1
        self._tail = np.zeros((overhang, channels, stft.hop), np.float32)
        self._to_drop = stft.n_fft - stft.hop  # the zeros before the first sample

    def push(self, spectrum: Spectrum) -> Samples:
        """``(frames, channels, bins)`` -> the samples that no later frame reaches, ``(channels, samples)``.

        After the last frame of a stream of n samples, the output has n samples or up to a hop more.
        """
        frames, channels, _ = spectrum.shape
        hop = self._stft.hop
        ratio = self._stft.n_fft // hop
        pieces: Samples = irfft(spectrum, self._stft.n_fft)
        pieces *= self._stft.synthesis_window
        pieces = pieces.reshape(frames, channels, ratio, hop)
        hops = np.zeros((frames + ratio - 1, channels, hop), np.float32)
        hops[: ratio - 1] = self._tail
        for step in range(ratio):
            hops[step : step + frames] += pieces[:, :, step]
        self._tail = hops[frames:]
        samples = hops[:frames].swapaxes(0, 1).reshape(channels, frames * hop)  # (frames, ch, hop) -> (ch, samples)
        dropped = min(self._to_drop, samples.shape[1])
        self._to_drop -= dropped
        return samples[:, dropped:]
