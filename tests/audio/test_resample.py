from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stemwright.audio.resample import Resampler, resampled_length
from tests.audio.signals import noise, offset

RATES = [8000, 11025, 22050, 44100, 48000, 88200, 96000, 192000]


@settings(max_examples=150)
@given(
    in_rate=st.sampled_from(RATES),
    out_rate=st.sampled_from(RATES),
    channels=st.integers(1, 2),
    blocks=st.lists(st.integers(0, 3000), max_size=6),
)
def test_length_and_independence_of_blocks(in_rate: int, out_rate: int, channels: int, blocks: list[int]) -> None:
    samples = sum(blocks)
    signal = noise(channels, samples)
    whole = Resampler(in_rate, out_rate, channels).process(signal, last=True)
    pieces = Resampler(in_rate, out_rate, channels)
    parts = []
    position = 0
    for length in blocks:
        parts.append(pieces.process(signal[:, position : position + length]))
        position += length
    parts.append(pieces.process(signal[:, :0], last=True))
    expected = max(1, round(samples * out_rate / in_rate)) if samples else 0
    assert whole.shape == (channels, expected) == (channels, resampled_length(samples, in_rate, out_rate))
    assert whole.dtype == np.float32
    assert np.array_equal(np.concatenate(parts, axis=1), whole)


@pytest.mark.parametrize(("in_rate", "out_rate"), [(44100, 48000), (48000, 44100), (96000, 44100), (8000, 44100)])
def test_a_sine_keeps_its_phase(in_rate: int, out_rate: int) -> None:
    def sine(rate: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        return np.sin(2 * np.pi * 1000 * np.arange(rate) / rate + 0.3).astype(np.float32)[None]

    out = Resampler(in_rate, out_rate, 1).process(sine(in_rate), last=True)
    middle = slice(out_rate // 10, -out_rate // 10)
    np.testing.assert_allclose(out[:, middle], sine(out_rate)[:, middle], atol=1e-5)


@pytest.mark.parametrize(("in_rate", "out_rate"), [(44100, 48000), (44100, 96000)])
def test_there_and_back_is_in_place(in_rate: int, out_rate: int) -> None:
    signal = noise(2, 50000)
    there = Resampler(in_rate, out_rate, 2).process(signal, last=True)
    back = Resampler(out_rate, in_rate, 2).process(there, last=True)
    assert back.shape == signal.shape
    assert offset(back, signal) == 0


def test_equal_rates_change_nothing() -> None:
    signal = noise(2, 100)
    assert Resampler(44100, 44100, 2).process(signal, last=True) is signal
