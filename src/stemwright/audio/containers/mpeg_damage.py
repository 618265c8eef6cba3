"""Damage in MPEG audio: estimates the number of lost frames, and makes silent frames to replace them.

Frames have no timestamps, so the sound after the damage is only at the correct time if every lost frame is replaced.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stemwright.audio.containers.mpeg_frame import read_frame

BLOCK_FRAMES = 1024


@dataclass(frozen=True)
class Damage:
    """Bytes between two frames that are neither frames nor tags."""

    n_bytes: int


def silent_frame(head: bytes) -> bytes:
    """The shortest frame of silence of the same kind as the frame with this header.

    Its side information is zero: it uses no bits of earlier frames. It is short, so that the frames after it find
    few wrong bits in the bit reservoir.
    """
    lowest = bytes([head[0], head[1] | 1, head[2] & 0x0C | 0x10, head[3]])  # no checksum, lowest bit rate, no padding
    frame = read_frame(lowest)
    assert frame is not None  # the header was read before, and its other fields are the same
    return lowest.ljust(frame.size, b"\0")


def repeated(frame: bytes, count: int) -> tuple[bytes, ...]:
    """A repeated frame, as pieces that share one object, so that gigabytes of damage take no memory."""
    blocks, rest = divmod(count, BLOCK_FRAMES)
    whole = (frame * BLOCK_FRAMES,) * blocks if blocks else ()
    return (*whole, frame * rest) if rest else whole


def lost_frames(damages: Sequence[Damage], mean_bytes: float, missing: int | None) -> list[int]:
    """The number of frames lost in each damage.

    ``missing`` is the number of all lost frames, None if it is not known. Without it each number is the length of the
    damage divided by the mean length of a frame, which is exact for a constant bit rate. With it, ``missing`` is
    shared in proportion to the lengths.
    """
    estimates = [damage.n_bytes / mean_bytes for damage in damages]
    counts = [round(estimate) for estimate in estimates]
    if missing is None or sum(counts) == missing:
        return counts
    shares = [estimate * missing / sum(estimates) for estimate in estimates]
    counts = [int(share) for share in shares]
    by_rest = sorted(range(len(shares)), key=lambda number: counts[number] - shares[number])
    for number in by_rest[: missing - sum(counts)]:
        counts[number] += 1
    return counts
