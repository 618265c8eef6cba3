"""Trims padding from decoded blocks. Each block comes with its sample rate: ``(rate, (channels, samples))``."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from stemwright.audio.frame import Block

# If the first block of AAC is padding it is nearly silent: its level is below this share of the next block's.
SILENT_SHARE = 0.25


def cut(blocks: Iterator[tuple[int, Block]], rate: int, first: int, stop: int | None) -> Iterator[tuple[int, Block]]:
    """Samples ``first`` to ``stop``. Blocks of another rate stay as they are: the header does not describe them."""
    position = 0
    for own, block in blocks:
        start, position = position, position + block.shape[1]
        if own == rate:
            block = block[:, max(0, first - start) : None if stop is None else max(0, stop - start)]
        if block.shape[1]:
            yield own, block


def without_silent_start(blocks: Iterator[tuple[int, Block]], count: int) -> Iterator[tuple[int, Block]]:
    """Leave out the first ``count`` samples if they are nearly silent compared with the next ``count``."""
    waiting: list[tuple[int, Block]] = []
    held = 0
    for rate, block in blocks:
        waiting.append((rate, block))
        held += block.shape[1]
        if held >= 2 * count:
            break
    if waiting and len({(rate, block.shape[0]) for rate, block in waiting}) == 1 and held > count:
        rate = waiting[0][0]
        joined = np.concatenate([block for _, block in waiting], axis=1)
        before, after = joined[:, :count], joined[:, count : 2 * count]
        is_silent = float(np.mean(before**2)) <= SILENT_SHARE**2 * float(np.mean(after**2))
        yield rate, joined[:, count:] if is_silent else joined
    else:
        yield from waiting
    yield from blocks
