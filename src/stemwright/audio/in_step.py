"""Several streams of samples read in step."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from stemwright.audio.frame import Block, with_channels


def in_step(streams: Sequence[Iterator[Block]], channels: int) -> Iterator[list[Block]]:
    """Blocks ``(channels, samples)`` of all streams that have one length; a stream that ends first goes on in silence."""
    nothing = np.zeros((channels, 0), np.float32)
    waiting = [nothing for _ in streams]
    open_streams: list[Iterator[Block] | None] = list(streams)
    while True:
        for number, stream in enumerate(open_streams):
            while stream is not None and not waiting[number].shape[1]:
                block = next(stream, None)
                if block is None:
                    open_streams[number] = stream = None
                else:
                    waiting[number] = with_channels(block, channels)
        lengths = [block.shape[1] for block in waiting if block.shape[1]]
        if not lengths:
            return
        length = min(lengths)
        silence = np.zeros((channels, length), np.float32)
        yield [block[:, :length] if block.shape[1] else silence for block in waiting]
        waiting = [block[:, length:] for block in waiting]
