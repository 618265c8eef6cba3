"""What the twelve-stem network sees of a spectrum. ``training/features.py`` computes the same in torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stemwright.models.bands import BandLayout

FLOOR = 1e-4
SCALE = 10.0


def planes(spectrum: NDArray[np.complex64], bands: BandLayout) -> NDArray[np.float32]:
    """Log-compressed magnitudes of left, right, middle and side in bands.

    Middle is (L + R) / 2 and side (L - R) / 2: how wide a sound is tells a lead voice from a doubled one.
    A band's value is log(1e-4 + 10 sqrt(mean |X|^2 in the band)).

    Args:
        spectrum: ``(frames, 2, bins)``.
        bands: the bands of the frequency axis.

    Returns:
        ``(4, bands, frames)``.
    """
    left, right = spectrum[:, 0], spectrum[:, 1]  # (frames, bins)
    views = np.stack([left, right, (left + right) / 2, (left - right) / 2])  # (4, frames, bins)
    magnitude = np.sqrt(bands.pool(views.real**2 + views.imag**2))
    return np.ascontiguousarray(np.log(FLOOR + SCALE * magnitude).swapaxes(1, 2))  # (4, bands, frames)
