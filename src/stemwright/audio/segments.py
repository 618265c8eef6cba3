"""How sound files are cut into the segments that the player plays."""

from __future__ import annotations

SEGMENT_S = 5
"""Seconds of a segment; the last one of a file may be shorter."""

SHORT_SEGMENT_S = 1
"""Seconds of a short segment: with twelve of them sound begins sooner than with twelve long ones."""

SEEKABLE_FORMATS = frozenset({"wav", "flac", "aiff"})
"""Formats of stems that can be read from any place."""


def segment_length(sample_rate: int, *, is_short: bool = False) -> int:
    """Samples of one segment of a file; the last one may be shorter."""
    return (SHORT_SEGMENT_S if is_short else SEGMENT_S) * sample_rate
