"""Single-precision transforms: against NumPy in double precision."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemwright.fft import irfft, is_fast_length, rfft

RANDOM = np.random.default_rng(7)


@pytest.mark.parametrize("n_fft", [4096, 4458, 6144, 7680])
def test_the_transform_is_numpys_to_float_rounding_and_stays_in_single_precision(n_fft: int) -> None:
    frames = RANDOM.standard_normal((3, 2, n_fft)).astype(np.float32)
    window = RANDOM.random(n_fft).astype(np.float32)
    spectrum = rfft(frames, window)
    exact = np.fft.rfft(frames.astype(np.float64) * window)
    assert spectrum.dtype == np.complex64
    assert np.abs(spectrum - exact).max() < 1e-6 * np.abs(exact).max()
    samples = irfft(spectrum, n_fft)
    assert samples.dtype == np.float32
    assert np.abs(samples - frames * window).max() < 1e-6 * np.abs(frames).max()


def test_missing_bins_are_zero() -> None:
    spectrum = RANDOM.standard_normal((2, 5)).astype(np.complex64)
    whole = np.pad(spectrum, ((0, 0), (0, 12)))
    np.testing.assert_array_equal(irfft(spectrum, 32), irfft(whole, 32))


@given(st.integers(0, 12), st.integers(0, 6), st.integers(0, 4))
def test_products_of_two_three_and_five_are_fast(twos: int, threes: int, fives: int) -> None:
    n_fft = 2**twos * 3**threes * 5**fives
    assert is_fast_length(n_fft)
    assert not is_fast_length(7 * n_fft)
