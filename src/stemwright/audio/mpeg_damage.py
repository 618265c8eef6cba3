"""Damaged bytes in MPEG audio: how many frames stood there, and the silent frames that take their place.

Frames have no numbers, so what follows is only in its place if as many frames are decoded as there were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stemwright.audio.mpeg_frame import read_frame

BLOCK_FRAMES = 1024


@dataclass(frozen=True)
class Damage:
    """Bytes between two frames that are neither frames nor tags."""

    n_bytes: int


def silent_frame(head: bytes) -> bytes:
    """A frame of silence, as short as possible, of the kind of the frame whose first four bytes these are.

    Its side information is zero, so it takes no bits from the frames before it, and leaves few to those behind it.
    """
    lowest = bytes([head[0], head[1] | 1, head[2] & 0x0C | 0x10, head[3]])  # no checksum, lowest bit rate, no padding
    frame = read_frame(lowest)
    assert frame is not None  # the header was read before, and its other fields are the same
    return lowest.ljust(frame.size, b"\0")


def repeated(frame: bytes, count: int) -> tuple[bytes, ...]:
    """A frame many times, in pieces of which most are the same object, so that gigabytes of damage take no memory."""
    blocks, rest = divmod(count, BLOCK_FRAMES)
    whole = (frame * BLOCK_FRAMES,) * blocks if blocks else ()
    return (*whole, frame * rest) if rest else whole


def lost_frames(damages: Sequence[Damage], mean_bytes: float, missing: int | None) -> list[int]:
    """How many frames stood in the place of each damage.

    ``missing`` is how many they are in all, None where nothing tells. The length of the damage and the mean length
    of a frame tell it exactly where the bit rate is constant. Where it is not, the mean says how ``missing`` is
    shared among several damages.
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
