from __future__ import annotations

import numpy as np
import pytest

from stemwright.models.bands import BANDS_384


def test_there_are_384_bands_and_the_first_128_are_bins() -> None:
    assert BANDS_384.n_bands == 384
    assert BANDS_384.n_bins == 2049
    assert (BANDS_384.widths[:128] == 1).all()
    assert BANDS_384.widths.sum() == 2048


def test_pooling_takes_the_mean_of_each_band() -> None:
    power = np.random.default_rng(0).random((3, 2, 2049)).astype(np.float32)
    pooled = BANDS_384.pool(power)
    assert pooled.shape == (3, 2, 384)
    np.testing.assert_array_equal(pooled[..., :128], power[..., :128])
    np.testing.assert_allclose(pooled[..., -1], power[..., 2032:2048].mean(-1), rtol=1e-6)


def test_bins_at_the_own_rate_lie_in_their_own_band() -> None:
    band = BANDS_384.band_of_bins(4096, 44_100)
    np.testing.assert_array_equal(np.bincount(band)[:-1], BANDS_384.widths[:-1])
    assert band[-1] == 383  # the bin at the Nyquist frequency goes with the top band


@pytest.mark.parametrize(("n_fft", "rate"), [(4480, 48_000), (8960, 96_000), (744, 8_000), (17_920, 192_000)])
def test_bins_at_another_rate_lie_in_the_band_of_their_frequency(n_fft: int, rate: int) -> None:
    band = BANDS_384.band_of_bins(n_fft, rate)
    edges_hz = np.append(0, np.cumsum(BANDS_384.widths)) * 44_100 / 4096
    hz = np.arange(n_fft // 2 + 1) * rate / n_fft
    below_top = hz < 22_040
    slack_hz = 44_100 / 4096  # bins are wider than nothing
    assert (hz[below_top] >= edges_hz[band[below_top]] - slack_hz).all()
    assert (hz[below_top] <= edges_hz[band[below_top] + 1] + slack_hz).all()
    assert (band[~below_top] == 383).all()
