"""Where frames begin again behind damage in a stream of frames (MPEG audio, ADTS)."""

from __future__ import annotations

import re
from collections.abc import Callable

from stemwright.audio.containers.pieces import Window
from stemwright.audio.containers.tag_frames import front_tag_size

SEARCHED_BYTES = 1 << 16
MARK_BYTES = 12
"""Bytes of the longest start code."""


def next_start(
    window: Window, offset: int, start_codes: re.Pattern[bytes], is_frame: Callable[[Window, int, int], bool]
) -> int:
    """The next offset where frames or a tag begin; the size of the window where none do.

    Args:
        window: the bytes.
        offset: where to begin.
        start_codes: the first bytes of a frame or a tag.
        is_frame: whether so many frames follow each other from an offset.
    """
    while offset < window.size:
        data = window.at(offset, SEARCHED_BYTES)
        for found in start_codes.finditer(data):
            start = offset + found.start()
            if is_frame(window, start, 2) or front_tag_size(window, start):
                return start
        offset += max(1, len(data) - MARK_BYTES)  # a start code may cross the end of the buffer
        if len(data) <= MARK_BYTES:
            break
    return window.size
