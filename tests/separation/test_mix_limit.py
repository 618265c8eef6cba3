from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from stemwright.separation.mix_limit import Samples, limit_to_mix


def noise(seed: int, channels: int = 2, length: int = 20_000) -> Samples:
    return np.random.default_rng(seed).standard_normal((channels, length)).astype(np.float32)


@pytest.mark.parametrize("length", [2048, 20_000, 30_001])
def test_outputs_that_claim_no_more_than_there_is_are_left_alone(length: int) -> None:
    song = noise(1, length=length)
    outputs = np.stack([np.float32(0.3) * song, np.float32(0.5) * song])
    np.testing.assert_allclose(limit_to_mix(outputs, song), outputs, atol=1e-5)


def test_what_is_claimed_twice_is_shared() -> None:
    song = noise(1)
    outputs = np.stack([song, song, 0 * song])
    np.testing.assert_allclose(limit_to_mix(outputs, song), np.stack([song / 2, song / 2, 0 * song]), atol=1e-5)


def test_only_where_it_is_claimed_twice() -> None:
    """A low tone that one output has, a high one that two have."""
    time_s = np.arange(44_100) / 44_100
    low, high = (np.sin(2 * np.pi * hz * time_s).astype(np.float32)[np.newaxis] for hz in (200, 8000))
    made = limit_to_mix(np.stack([low + high, high]), low + high)
    inner = slice(4096, -4096)
    np.testing.assert_allclose(made[0][:, inner], (low + high / 2)[:, inner], atol=2e-3)
    np.testing.assert_allclose(made[1][:, inner], (high / 2)[:, inner], atol=2e-3)


def test_it_takes_little_more_memory_than_what_it_gives() -> None:
    outputs, song = np.stack([noise(seed, length=300_000) for seed in range(6)]), noise(7, length=300_000)
    tracemalloc.start()
    try:
        limit_to_mix(outputs, song)
        _, peak_bytes = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak_bytes < 3 * outputs.nbytes


def test_silence_stays_silent() -> None:
    assert not limit_to_mix(np.zeros((2, 2, 9000), np.float32), np.zeros((2, 9000), np.float32)).any()
