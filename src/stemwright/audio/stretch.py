"""Changes the speed of several signals together without their pitch: stretched stems add up to the stretched sum.

A phase vocoder with identity phase locking (Laroche & Dolson 1999). Each bin of a frame is turned by a phase that follows
from the sum of all signals alone, and the same turn is applied to every signal. So the change is linear, and signals stay
aligned to the sample. Peaks decide the turn of the bins around them. Where a frame is mostly new sound, an onset, nothing is
turned. At speed 1 the output is the input, to float rounding.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from stemwright.audio.resample import Resampler
from stemwright.fft import hann, irfft, rfft

Signals = NDArray[np.float32]
"""``(signals, channels, samples)``"""

WINDOW_S = 0.093
OVERLAP = 4
ONSET_SHARE = 0.55
"""Share of a frame's magnitude that one hop earlier was not there, from which on it is an onset."""
TINY = 1e-12


class Stretcher:
    """Stretches a stream by the speed, which is above 0. Memory does not grow with the length."""

    def __init__(self, speed: float, sample_rate: int, n_signals: int, channels: int) -> None:
        self._speed = speed
        self._n_fft = max(64, 1 << round(math.log2(WINDOW_S * sample_rate)))
        self._hop = self._n_fft // OVERLAP
        self._window = hann(self._n_fft)
        self._synthesis = self._window / np.float32(3 * OVERLAP / 8)  # the squared windows add up to that
        self._start = -2 * self._n_fft  # of the pending samples, in the input
        self._pending: Signals = np.zeros((n_signals, channels, 2 * self._n_fft), np.float32)
        self._overlap: Signals = np.zeros((n_signals, channels, self._n_fft), np.float32)
        self._taken = self._given = self._frame = 0
        self._to_drop = self._n_fft - self._hop
        self._rotation = np.ones(self._n_fft // 2 + 1, np.complex64)
        self._last: NDArray[np.complex64] | None = None  # the sum's spectrum of the last frame, (channels, bins)

    def process(self, block: Signals) -> Signals:
        """What the block completes."""
        self._taken += block.shape[2]
        return self._run(block)

    def finish(self) -> Signals:
        """The rest; the whole output has the input's samples by the speed, rounded."""
        left = round(self._taken / self._speed) - self._given
        silence = math.ceil((left + 2 * self._n_fft) * self._speed) + 2 * self._n_fft
        return self._run(np.zeros((*self._pending.shape[:2], silence), np.float32))[:, :, :left]

    def _run(self, block: Signals) -> Signals:
        self._pending = np.concatenate([self._pending, block], axis=2)
        pieces = [self._overlap[:, :, :0]]
        while (at := self._place(self._frame) - self._start) + self._n_fft <= self._pending.shape[2]:
            pieces.append(self._next(at))
            self._frame += 1
        used = self._place(self._frame) - self._hop - self._start
        if used > 0:
            self._pending = self._pending[:, :, used:].copy()
            self._start += used
        ready = np.concatenate(pieces, axis=2)
        dropped = min(self._to_drop, ready.shape[2])
        self._to_drop -= dropped
        self._given += ready.shape[2] - dropped
        return ready[:, :, dropped:]

    def _place(self, frame: int) -> int:
        """The first sample of a frame in the input. Its middle is where the output's middle comes from."""
        middle = (frame * self._hop - (self._n_fft - self._hop) + self._n_fft // 2) * self._speed
        return round(middle) - self._n_fft // 2

    def _next(self, at: int) -> Signals:
        spectra = rfft(self._pending[:, :, at : at + self._n_fft], self._window)
        summed = self._pending[:, :, at - self._hop : at + self._n_fft].sum(axis=0)
        # Not the sum of the spectra: at speed 1 both must be rounded alike.
        self._turn(rfft(summed[:, self._hop :], self._window), rfft(summed[:, : self._n_fft], self._window))
        self._overlap += irfft(spectra * self._rotation, self._n_fft) * self._synthesis
        ready = self._overlap[:, :, : self._hop]
        self._overlap = np.pad(self._overlap[:, :, self._hop :], ((0, 0), (0, 0), (0, self._hop)))
        return ready

    def _turn(self, now: NDArray[np.complex64], earlier: NDArray[np.complex64]) -> None:
        """Sets the turn of this frame from the sum's spectra: now, one hop earlier, and of the last frame."""
        last, self._last = self._last, now
        if last is None:
            return
        # What was written last had the phase of ``last`` and its turn; a hop later the input has gone from ``earlier`` to
        # ``now``, and the output must go as far.
        step = (last * earlier.conj()).sum(axis=0)
        turned = self._rotation * np.where(np.abs(step) > TINY, step, 1)
        power = (now.real**2 + now.imag**2).sum(axis=0)
        peaks = _peaks(power)
        if len(peaks):
            borders = (peaks[1:] + peaks[:-1] + 1) // 2
            turned = turned[peaks[np.searchsorted(borders, np.arange(len(power)), side="right")]]
        magnitude = np.sqrt(power)
        new = np.maximum(magnitude - np.sqrt((earlier.real**2 + earlier.imag**2).sum(axis=0)), 0).sum()
        if new > ONSET_SHARE * magnitude.sum():
            turned = np.ones_like(turned)
        self._rotation = (turned / np.maximum(np.abs(turned), TINY)).astype(np.complex64)


def _peaks(power: NDArray[np.float32]) -> NDArray[np.intp]:
    """Bins that are larger than two neighbours on each side."""
    middle = power[2:-2]
    found = (middle > power[1:-3]) & (middle >= power[3:-1]) & (middle > power[:-4]) & (middle >= power[4:])
    return np.flatnonzero(found) + 2


def stretched(blocks: Iterable[Signals], sample_rate: int, *, speed: float, semitones: float) -> Iterator[Signals]:
    """Blocks of signals at another speed, and transposed.

    Transposing stretches by the interval, and then resamples back; both are linear.
    """
    up_rate = round(sample_rate * 2 ** (semitones / 12))  # within 0.02 cents from 44.1 kHz on
    stretcher: Stretcher | None = None
    resampler: Resampler | None = None
    for block in blocks:
        if stretcher is None:
            stretcher = Stretcher(speed * sample_rate / up_rate, sample_rate, *block.shape[:2])
            resampler = Resampler(up_rate, sample_rate, block.shape[0] * block.shape[1])
        assert resampler is not None
        yield _resampled(stretcher.process(block), resampler, last=False)
    if stretcher is not None and resampler is not None:
        yield _resampled(stretcher.finish(), resampler, last=True)


def _resampled(block: Signals, resampler: Resampler, *, last: bool) -> Signals:
    n_signals, channels, n_samples = block.shape
    flat = resampler.process(block.reshape(n_signals * channels, n_samples), last=last)
    return flat.reshape(n_signals, channels, flat.shape[1])
