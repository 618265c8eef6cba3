"""Envelope and spectrogram of a file in little memory, with a bounded number of columns.

A file may be hours long, and its length is unknown until it is read. So columns are short at first; when there are too
many, neighbours are merged in pairs and all later columns are twice as long.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from stemwright.evaluation.sdr import energy
from stemwright.fft import rfft

Samples = NDArray[np.float32]
Float = NDArray[np.float64]

MAX_COLUMNS = 1500
N_FFT = 4096
HOP = 2048
N_ROWS = 160
LOWEST_HZ = 30.0
FLOOR_DB = -120.0


@dataclass(frozen=True)
class WaveformSummary:
    """Envelope and spectrogram of one file.

    Attributes:
        seconds: its length.
        lows: minimum of each column over all channels, ``(columns,)``.
        highs: maximum of each column over all channels, ``(columns,)``.
        column_s: length of a column of the envelope.
        spectrogram_db: mean power in dB, 0 for a full-scale sine, ``(rows, columns)``.
        edges_hz: edges of the rows, ``(rows + 1,)``, evenly spaced in pitch.
        spectrum_s: length of a column of the spectrogram.
        peak_db: peak in dB of full scale; None for digital silence.
        level_db: root mean square in dB of full scale; None for digital silence.
    """

    seconds: float
    lows: Float
    highs: Float
    column_s: float
    spectrogram_db: Float
    edges_hz: Float
    spectrum_s: float
    peak_db: float | None
    level_db: float | None


def summary(blocks: Iterable[Samples], sample_rate: int) -> WaveformSummary:
    """Reads a stream of blocks ``(channels, samples)`` once. It may be empty."""
    envelope = _Columns(2, np.maximum)  # rows: -lowest, highest
    bands = _bands(sample_rate)
    power = _Columns(N_ROWS + 1, np.add)  # rows: power of each band, and the number of frames
    squares = 0.0
    held: Samples | None = None
    count = channels = 0
    for block in blocks:
        channels = len(block)
        count += block.shape[-1]
        squares += energy(block)
        held = block if held is None else np.concatenate([held, block], axis=-1)
        n_frames = (held.shape[-1] - N_FFT) // HOP + 1
        if n_frames > 0:
            envelope.extend(_extremes(held[:, : n_frames * HOP]))
            power.extend(_counted(_power(held, n_frames) @ bands.T))
            held = held[:, n_frames * HOP :]
    if held is not None and held.shape[-1]:
        padding = -held.shape[-1] % HOP
        envelope.extend(_extremes(np.pad(held, ((0, 0), (0, padding)))))
        n_frames = (held.shape[-1] + padding) // HOP
        power.extend(_counted(_power(np.pad(held, ((0, 0), (0, padding + N_FFT - HOP))), n_frames) @ bands.T))
    extremes, sums = envelope.all(), power.all()
    peak = float(extremes.max(initial=0.0))
    return WaveformSummary(
        seconds=count / sample_rate,
        lows=-extremes[:, 0],
        highs=extremes[:, 1],
        column_s=envelope.stride * HOP / sample_rate,
        spectrogram_db=10.0 * np.log10(np.maximum((sums[:, :-1] / sums[:, -1:]).T, 10.0 ** (FLOOR_DB / 10.0))),
        edges_hz=_edges(sample_rate),
        spectrum_s=power.stride * HOP / sample_rate,
        peak_db=20.0 * float(np.log10(peak)) if peak else None,
        level_db=10.0 * float(np.log10(squares / (count * channels))) if squares else None,
    )


class _Columns:
    """Columns of ``height`` values; always fewer than ``2 * MAX_COLUMNS``."""

    def __init__(self, height: int, merge: np.ufunc) -> None:
        self.stride = 1
        self._height = height
        self._merge = merge
        self._whole: list[Float] = []
        self._part: Float | None = None
        self._in_part = 0

    def extend(self, columns: Float) -> None:
        """Adds columns of length one, ``(n, height)``."""
        for column in columns:
            self._part = column if self._part is None else self._merge(self._part, column)
            self._in_part += 1
            if self._in_part < self.stride:
                continue
            self._whole.append(self._part)
            self._part, self._in_part = None, 0
            if len(self._whole) == 2 * MAX_COLUMNS:
                self._whole = [self._merge(a, b) for a, b in zip(self._whole[::2], self._whole[1::2], strict=True)]
                self.stride *= 2

    def all(self) -> Float:
        """All columns, ``(columns, height)``; the last one may be incomplete."""
        whole = self._whole if self._part is None else [*self._whole, self._part]
        return np.stack(whole) if whole else np.zeros((0, self._height))


def _extremes(samples: Samples) -> Float:
    """``(channels, n * HOP)`` -> ``(n, 2)``: negated minimum and maximum of each hop."""
    stretches = samples.astype(np.float64).reshape(len(samples), -1, HOP)  # (channels, n, HOP)
    return np.stack([-stretches.min(axis=(0, 2)), stretches.max(axis=(0, 2))], axis=1)


def _counted(columns: Float) -> Float:
    return np.pad(columns, ((0, 0), (0, 1)), constant_values=1.0)


def _power(samples: Samples, n_frames: int) -> Float:
    """``(channels, samples)`` -> mean power of the channels in each bin, ``(n_frames, bins)``; a full-scale sine has 1."""
    window = np.hanning(N_FFT + 1)[:-1].astype(np.float32)
    windows = np.lib.stride_tricks.sliding_window_view(samples, N_FFT, axis=-1)[:, : n_frames * HOP : HOP]
    spectrum = rfft(windows, window * np.float32(2.0 / window.sum()))  # (channels, n_frames, bins)
    power: Float = np.mean(spectrum.real**2 + spectrum.imag**2, axis=0, dtype=np.float64)
    return power


def _edges(sample_rate: int) -> Float:
    """Edges of the rows in Hz, ``(N_ROWS + 1,)``: equal numbers of semitones, up to half the rate or 20 kHz."""
    return np.geomspace(LOWEST_HZ, min(20_000.0, sample_rate / 2), N_ROWS + 1)


def _bands(sample_rate: int) -> Float:
    """Weights ``(N_ROWS, bins)`` for the mean of each row; a row between two bins uses the nearest one."""
    edges = _edges(sample_rate) * N_FFT / sample_rate  # in bins
    weights = np.zeros((N_ROWS, N_FFT // 2 + 1))
    for row, (low, high) in enumerate(pairwise(edges)):
        first, last = int(np.ceil(low)), int(np.floor(high))
        if first > last:
            first = last = min(round((low + high) / 2), N_FFT // 2)
        weights[row, first : last + 1] = 1.0 / (last + 1 - first)
    return weights
