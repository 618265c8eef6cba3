from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from stemwright.audio.frame import Block
from stemwright.audio.trim import cut, without_silent_start
from tests.audio.signals import noise


def blocks(samples: Block, size: int, rate: int = 44100) -> Iterator[tuple[int, Block]]:
    return ((rate, samples[:, start : start + size]) for start in range(0, samples.shape[1], size))


def joined(given: Iterator[tuple[int, Block]]) -> Block:
    return np.concatenate([block for _, block in given], axis=1)


@pytest.mark.parametrize("size", [1, 7, 100, 5000])
@pytest.mark.parametrize(("first", "stop"), [(0, None), (13, None), (13, 700), (100, 101)])
def test_cut_is_a_slice(size: int, first: int, stop: int | None) -> None:
    signal = noise(2, 1000)
    assert np.array_equal(joined(cut(blocks(signal, size), 44100, first, stop)), signal[:, first:stop])


def test_blocks_of_another_rate_are_not_cut() -> None:
    signal = noise(1, 100)
    given = list(cut(iter([(44100, signal), (48000, signal)]), 44100, 90, 95))
    assert [(rate, block.shape[1]) for rate, block in given] == [(44100, 5), (48000, 100)]


@pytest.mark.parametrize("size", [64, 1000])
def test_a_start_is_left_out_only_if_it_is_silent(size: int) -> None:
    signal = noise(2, 1000)
    assert np.array_equal(joined(without_silent_start(blocks(signal, size), 200)), signal)
    signal[:, :200] *= 0.01
    assert np.array_equal(joined(without_silent_start(blocks(signal, size), 200)), signal[:, 200:])
