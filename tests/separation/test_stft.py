from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from stemwright.separation.stft import Analysis, Stft, Synthesis

SMALL = Stft(64, 16)


def spectrum_of(samples: NDArray[np.float32], stft: Stft, cuts: list[int]) -> NDArray[np.complex64]:
    analysis = Analysis(stft, samples.shape[0])
    frames = [analysis.push(block) for block in np.split(samples, sorted(cuts), axis=1)]
    return np.concatenate([*frames, analysis.finish()])


@given(
    st.integers(1, 700),
    st.lists(st.integers(0, 700), max_size=5),
    st.sampled_from([SMALL, Stft(48, 16), Stft(96, 12)]),
)
def test_untouched_frames_give_the_samples_back(n_samples: int, cuts: list[int], stft: Stft) -> None:
    samples = np.random.default_rng(n_samples).standard_normal((2, n_samples)).astype(np.float32)
    spectrum = spectrum_of(samples, stft, cuts)
    assert len(spectrum) == stft.n_frames(n_samples)
    synthesis = Synthesis(stft, 2)
    half = len(spectrum) // 2
    back = np.concatenate([synthesis.push(spectrum[:half]), synthesis.push(spectrum[half:])], axis=1)
    assert n_samples <= back.shape[1] <= n_samples + stft.hop
    np.testing.assert_allclose(back[:, :n_samples], samples, atol=2e-6)


def test_block_lengths_do_not_change_the_frames() -> None:
    samples = np.random.default_rng(0).standard_normal((1, 1000)).astype(np.float32)
    np.testing.assert_array_equal(
        spectrum_of(samples, SMALL, []), spectrum_of(samples, SMALL, [1, 2, 3, 400, 401, 999])
    )


def test_a_frame_is_centred_where_the_docstring_says() -> None:
    samples = np.zeros((1, 400), np.float32)
    k = 9
    samples[0, (k + 1) * SMALL.hop - SMALL.n_fft // 2] = 1
    power = (np.abs(spectrum_of(samples, SMALL, [])) ** 2).sum(axis=(1, 2))
    assert power.argmax() == k


@pytest.mark.parametrize("rate", [8_000, 22_050, 32_000, 48_000, 88_200, 96_000, 192_000])
def test_at_another_rate_a_frame_lasts_about_as_long(rate: int) -> None:
    own = Stft(4096, 1024)
    other = own.at_rate(44_100, rate)
    assert other.n_fft == 4 * other.hop
    assert other.hop / rate == pytest.approx(own.hop / 44_100, rel=0.04)


def test_a_hop_that_does_not_tile_is_refused() -> None:
    with pytest.raises(ValueError, match="hop"):
        Stft(64, 24)
