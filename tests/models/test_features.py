from __future__ import annotations

import numpy as np

from stemwright.models import features
from stemwright.models.bands import BANDS_384


def random_spectrum(frames: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    parts = rng.standard_normal((2, frames, 2, BANDS_384.n_bins))
    spectrum: np.ndarray = (parts[0] + 1j * parts[1]).astype(np.complex64)
    return spectrum


def test_there_are_four_planes_of_384_bands() -> None:
    assert features.planes(random_spectrum(5), BANDS_384).shape == (4, 384, 5)


def test_a_single_bin_is_its_own_magnitude() -> None:
    spectrum = np.zeros((1, 2, BANDS_384.n_bins), np.complex64)
    spectrum[0, 0, 7] = 3 + 4j
    seen = features.planes(spectrum, BANDS_384)[:, 7, 0]
    np.testing.assert_allclose(seen, np.log(1e-4 + 10 * np.array([5, 0, 2.5, 2.5])), rtol=1e-6)


def test_mono_has_no_side() -> None:
    spectrum = random_spectrum(3)
    spectrum[:, 1] = spectrum[:, 0]
    left, right, middle, side = features.planes(spectrum, BANDS_384)
    np.testing.assert_array_equal(left, right)
    np.testing.assert_allclose(left, middle, rtol=1e-5)
    np.testing.assert_allclose(side, np.log(1e-4), rtol=1e-6)
