from __future__ import annotations

import pytest

from stemwright.audio.containers.mpeg_damage import Damage, lost_frames, repeated, silent_frame
from stemwright.audio.containers.mpeg_frame import read_frame


@pytest.mark.parametrize(
    ("sizes", "mean", "missing", "counts"),
    [
        ([400], 400, None, [1]),
        ([4180, 180], 418, None, [10, 0]),
        ([4180, 836], 418, 12, [10, 2]),
        ([4000, 1000], 400, 25, [20, 5]),
        ([1000, 1000, 1000], 400, 5, [2, 2, 1]),
        ([5000], 400, 0, [0]),
    ],
)
def test_how_many_frames_were_lost(sizes: list[int], mean: float, missing: int | None, counts: list[int]) -> None:
    assert lost_frames([Damage(size) for size in sizes], mean, missing) == counts


@pytest.mark.parametrize("head", [b"\xff\xfb\x92\x64", b"\xff\xf3\x84\xc4", b"\xff\xfd\xa4\x04", b"\xff\xe2\x50\x04"])
def test_a_silent_frame_is_of_the_same_kind(head: bytes) -> None:
    given, frame = read_frame(head), read_frame(silent_frame(head)[:4])
    assert given is not None and frame is not None
    assert (frame.kind, frame.samples, frame.is_mpeg1) == (given.kind, given.samples, given.is_mpeg1)
    assert len(silent_frame(head)) == frame.size <= given.size


@pytest.mark.parametrize("count", [0, 1, 1023, 1024, 5000])
def test_repeated_frames(count: int) -> None:
    assert b"".join(repeated(b"abc", count)) == b"abc" * count
