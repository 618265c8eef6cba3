"""Power of a stream in mel bands, column by column, for pictures."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from stemwright.fft import rfft

Samples = NDArray[np.float32]
Powers = NDArray[np.float32]
"""``(columns, signals, rows)``; a sine at full scale has about 1."""

ROWS = 192
WINDOW_S = 0.046
HIGHEST_HZ = 20_000.0
BATCH_COLUMNS = 128
"""Columns in memory at once."""


@dataclass(frozen=True)
class Weights:
    """What a row takes of which bins; 99 of 100 weights of a whole matrix would be zero.

    Attributes:
        bins: numbers of bins, row after row.
        factors: of these bins.
        starts: where each row begins.
    """

    bins: NDArray[np.intp]
    factors: NDArray[np.float32]
    starts: NDArray[np.intp]

    def rows(self, powers: NDArray[np.float32]) -> NDArray[np.float32]:
        """``(…, bins)`` to ``(…, rows)``."""
        rows: NDArray[np.float32] = np.add.reduceat(powers[..., self.bins] * self.factors, self.starts, axis=-1)
        return rows


@dataclass(frozen=True)
class MelBands:
    """Rows of equal height on the mel scale (O'Shaughnessy 1987), and the transform that fills them.

    A column covers ``hop`` samples. Its window is four times as long and has the same middle.
    """

    sample_rate: int

    @property
    def n_fft(self) -> int:
        """Samples of a window: the power of two nearest to 46 ms."""
        return max(64, 1 << round(math.log2(WINDOW_S * self.sample_rate)))

    @property
    def hop(self) -> int:
        """Samples of a column."""
        return self.n_fft // 4

    @property
    def highest_hz(self) -> float:
        """Upper edge of the topmost row."""
        return min(HIGHEST_HZ, self.sample_rate / 2)

    @cached_property
    def weights(self) -> Weights:
        """Triangles that reach to the middles of their neighbours, or to the next bin."""
        bins_hz = np.arange(self.n_fft // 2 + 1) * self.sample_rate / self.n_fft
        edges_hz = _hz(np.linspace(0, _mel(self.highest_hz), ROWS + 2))
        middles = edges_hz[1:-1, None]
        reach_down = np.maximum(middles - edges_hz[:-2, None], bins_hz[1])
        reach_up = np.maximum(edges_hz[2:, None] - middles, bins_hz[1])
        offsets = bins_hz - middles  # (rows, bins)
        triangles = np.minimum(1 + offsets / reach_down, 1 - offsets / reach_up)
        rows, bins = np.nonzero(triangles > 0)
        return Weights(bins, triangles[rows, bins].astype(np.float32), np.searchsorted(rows, np.arange(ROWS)))


class MelSpectrum:
    """Converts blocks of several signals of one length to columns; memory does not grow with their length."""

    def __init__(self, bands: MelBands, n_signals: int, channels: int) -> None:
        self._bands = bands
        n_fft = bands.n_fft
        turn = 2 * np.pi * np.arange(n_fft) / n_fft
        self._window = ((0.5 - 0.5 * np.cos(turn)) * 4 / n_fft).astype(
            np.float32
        )  # a sine of amplitude 1 has a peak of 1
        self._pending: Samples = np.zeros((n_signals, channels, (n_fft - bands.hop) // 2), np.float32)
        self._samples = 0
        self._columns = 0

    def process(self, block: Samples) -> Powers:
        """The columns that ``(signals, channels, samples)`` completes."""
        self._samples += block.shape[2]
        self._pending = np.concatenate([self._pending, block], axis=2)
        return self._take((self._pending.shape[2] - self._bands.n_fft) // self._bands.hop + 1)

    def finish(self) -> Powers:
        """The last columns; the last one may reach beyond the end, into silence."""
        missing = -(-self._samples // self._bands.hop) - self._columns
        needed = self._bands.n_fft + (missing - 1) * self._bands.hop - self._pending.shape[2]
        self._pending = np.pad(self._pending, ((0, 0), (0, 0), (0, max(0, needed))))
        return self._take(missing)

    def _take(self, columns: int) -> Powers:
        if columns <= 0:
            return np.zeros((0, self._pending.shape[0], ROWS), np.float32)
        n_fft, hop = self._bands.n_fft, self._bands.hop
        frames = np.lib.stride_tricks.sliding_window_view(self._pending, n_fft, axis=2)[:, :, ::hop][:, :, :columns]
        batches = []
        for first in range(0, columns, BATCH_COLUMNS):
            spectra = rfft(frames[:, :, first : first + BATCH_COLUMNS], self._window)
            powers = (spectra.real**2 + spectra.imag**2).mean(axis=1)  # (signals, columns, bins)
            batches.append(self._bands.weights.rows(powers).swapaxes(0, 1))
        self._pending = self._pending[:, :, columns * hop :].copy()
        self._columns += columns
        return np.concatenate(batches)


def _mel(hz: float) -> float:
    return 2595 * math.log10(1 + hz / 700)


def _hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return 700 * (10 ** (mel / 2595) - 1)
