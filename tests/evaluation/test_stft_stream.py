from collections.abc import Iterator

import numpy as np
import pytest
from numpy.typing import NDArray

from stemwright.evaluation.stft_stream import HOP, N_FFT, samples, spectra


def in_blocks(signal: NDArray[np.float32], length: int) -> Iterator[NDArray[np.float32]]:
    for start in range(0, signal.shape[-1], length):
        yield signal[..., start : start + length]


@pytest.mark.parametrize("length", [1, HOP - 1, HOP, N_FFT, N_FFT + 1, 30_000])
@pytest.mark.parametrize("block", [700, 4096, 65_536])
def test_there_and_back_is_the_signal(length: int, block: int) -> None:
    signal = np.random.default_rng(length).standard_normal((3, 2, length)).astype(np.float32)
    back = np.concatenate(list(samples(spectra(in_blocks(signal, block)))), axis=-1)
    assert length <= back.shape[-1] < length + HOP
    np.testing.assert_allclose(back[..., :length], signal, atol=2e-6)
    np.testing.assert_allclose(back[..., length:], 0, atol=2e-6)


def test_the_frames_do_not_depend_on_the_blocks() -> None:
    signal = np.random.default_rng(0).standard_normal((1, 1, 20_000)).astype(np.float32)
    short = np.concatenate(list(spectra(in_blocks(signal, 999))), axis=-2)
    whole = np.concatenate(list(spectra([signal])), axis=-2)
    np.testing.assert_array_equal(short, whole)


def test_a_sine_lies_in_its_bin() -> None:
    sine = np.sin(2 * np.pi * 100 / N_FFT * np.arange(20_000)).astype(np.float32)[None, None]
    middle = np.concatenate(list(spectra([sine])), axis=-2)[0, 0, 8]
    assert np.abs(middle).argmax() == 100


def test_no_samples_give_no_frames() -> None:
    assert list(spectra([])) == []
