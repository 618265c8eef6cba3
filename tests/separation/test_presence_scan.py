from __future__ import annotations

import numpy as np
import pytest

from stemwright.errors import CancelledError
from stemwright.separation.presence_scan import PresenceScan, scan_presence
from stemwright.separation.source import ArraySource
from stemwright.stems import STEMS
from tests.separation.engines import LocalMasks


def song(channels: int) -> ArraySource:
    return ArraySource(np.random.default_rng(1).uniform(-0.5, 0.5, (channels, 150_000)).astype(np.float32), 44_100)


@pytest.mark.parametrize("channels", [1, 2])
def test_what_does_not_play_is_far_below_what_does(channels: int) -> None:
    found = scan_presence(song(channels), LocalMasks(absent=("brass", "synth")), is_cancelled=lambda: False)
    assert [stem for stem in STEMS if found.is_absent(stem)] == ["brass", "synth"]


def test_of_an_unknown_stem_nothing_is_sure() -> None:
    assert not PresenceScan({}).is_absent("drums")


def test_it_can_be_cancelled() -> None:
    with pytest.raises(CancelledError):
        scan_presence(song(2), LocalMasks(), is_cancelled=lambda: True)
