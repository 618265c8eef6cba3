"""Short-time Fourier transform of a stream of blocks, and its inverse.

Hann windows of 4,096 samples with hop 1,024, for analysis and synthesis. Four windows overlap at every sample, and
their squares add up to 3/2, so ``samples(spectra(x))`` is ``x``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from stemwright.fft import hann, irfft, rfft

N_FFT = 4096
HOP = 1024
_SQUARES = 1.5  # sum over frames of the squared Hann window, at a hop of a quarter of the window
_WINDOW = hann(N_FFT)

Samples = NDArray[np.float32]
Spectra = NDArray[np.complex64]


def spectra(blocks: Iterable[Samples]) -> Iterator[Spectra]:
    """Blocks ``(signals, channels, samples)`` -> blocks ``(signals, channels, frames, bins)``.

    The first frame ends ``HOP`` samples into the signal and the last begins at its last samples, so four frames cover
    every sample.
    """
    pending: Samples | None = None
    for block in _padded(blocks):
        pending = block if pending is None else np.concatenate([pending, block], axis=-1)
        n_frames = (pending.shape[-1] - N_FFT) // HOP + 1
        if n_frames < 1:
            continue
        # (signals, channels, starts, N_FFT) -> one start in HOP
        windows = np.lib.stride_tricks.sliding_window_view(pending, N_FFT, axis=-1)[..., : n_frames * HOP : HOP, :]
        yield rfft(windows, _WINDOW)
        pending = pending[..., n_frames * HOP :]


def samples(frames: Iterable[Spectra]) -> Iterator[Samples]:
    """The inverse of ``spectra``, with up to ``HOP - 1`` zeros at the end to complete the last hop."""
    tail: Samples | None = None
    skip = N_FFT - HOP  # the zeros that ``spectra`` put before the signal
    for block in frames:
        pieces = irfft(block, N_FFT) * (_WINDOW / np.float32(_SQUARES))
        n_frames = pieces.shape[-2]
        out = np.zeros((*pieces.shape[:-2], (n_frames - 1) * HOP + N_FFT), np.float32)
        if tail is not None:
            out[..., : N_FFT - HOP] += tail
        for index in range(n_frames):
            out[..., index * HOP : index * HOP + N_FFT] += pieces[..., index, :]
        done, tail = out[..., : n_frames * HOP], out[..., n_frames * HOP :]
        dropped = min(skip, done.shape[-1])
        skip -= dropped
        if done.shape[-1] > dropped:
            yield done[..., dropped:]


def _padded(blocks: Iterable[Samples]) -> Iterator[Samples]:
    """The stream with ``N_FFT - HOP`` zeros before it, and at least as many after it."""
    length = 0
    shape: tuple[int, ...] | None = None
    for block in blocks:
        if shape is None:
            shape = block.shape[:-1]
            yield np.zeros((*shape, N_FFT - HOP), np.float32)
        length += block.shape[-1]
        yield block
    if shape is not None:
        yield np.zeros((*shape, N_FFT - HOP + -length % HOP), np.float32)
