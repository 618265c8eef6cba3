"""Input features of the twelve-stem network. ``training/data/features.py`` computes the same in torch."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stemwright.models.bands import BandLayout

FLOOR = 1e-4
SCALE = 10.0


def planes(spectrum: NDArray[np.complex64], bands: BandLayout) -> NDArray[np.float32]:
    """Log-compressed magnitudes of left, right, mid and side in bands.

    Mid is (L + R) / 2 and side (L - R) / 2: stereo width separates a lead voice from a doubled one.
    A band's value is log(1e-4 + 10 sqrt(mean |X|^2 in the band)).

    Args:
        spectrum: ``(frames, 2, bins)``.
        bands: the bands of the frequency axis.

    Returns:
        ``(4, bands, frames)``.
    """
    left, right = spectrum[:, 0], spectrum[:, 1]  # (frames, bins)
    feature_planes = np.empty((4, bands.n_bands, len(spectrum)), np.float32)
    for plane, view, parts in zip(feature_planes, (left, right, left + right, left - right), (1, 1, 2, 2), strict=True):
        magnitude = np.sqrt(bands.pool(view.real**2 + view.imag**2))  # (frames, bands)
        plane[:] = np.log(FLOOR + np.float32(SCALE / parts) * magnitude).T  # (bands, frames)
    return feature_planes
