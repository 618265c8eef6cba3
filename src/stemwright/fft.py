"""The Fourier transform of real frames, in single precision.

With its default norm ``numpy.fft.rfft`` transforms float32 in double precision, which takes three times longer: its scale
is then a Python integer, and NumPy's ufunc has no loop for that beside float32 (``_raw_fft`` in
``numpy/fft/_pocketfft.py``, seen in 2.4). With the norm "forward" the scale is a float32, as it always is in
``numpy.fft.irfft``. Both then take as long as ``scipy.fft``; SciPy would be a third of what the package installs.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Complex64 = NDArray[np.complex64]


def hann(n_fft: int) -> Float32:
    """The periodic Hann window, ``(n_fft,)``."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n_fft) / n_fft)).astype(np.float32)


def rfft(frames: Float32, window: Float32) -> Complex64:
    """``(..., n_fft)`` times the window ``(n_fft,)`` -> its transform ``(..., n_fft // 2 + 1)``."""
    n_fft = frames.shape[-1]
    # The norm divides by n_fft, so the window is multiplied by it: exact where n_fft is a power of two.
    spectrum: Any = np.fft.rfft(frames * (window * np.float32(n_fft)), norm="forward")
    return spectrum  # type: ignore[no-any-return]  # NumPy's stubs say complex128


def irfft(spectrum: Complex64, n_fft: int) -> Float32:
    """``(..., n_fft // 2 + 1)`` -> ``(..., n_fft)``; bins that are missing are zero."""
    frames: Any = np.fft.irfft(spectrum, n_fft)
    return frames  # type: ignore[no-any-return]  # NumPy's stubs say float64


def is_fast_length(n_fft: int) -> bool:
    """Whether a transform of this size is efficient: it has no prime factor above 5."""
    for factor in (2, 3, 5):
        while n_fft % factor == 0:
            n_fft //= factor
    return n_fft == 1
