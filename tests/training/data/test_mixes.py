"""Named settings of mixes: what they make more frequent."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from stemwright.stems import STEMS
from training.data.augmentation import MixPlanner, MixSettings, SongIndex
from training.data.mixes import MIXES
from training.data.songs import StemExtent

pytestmark = pytest.mark.training

DRAWN = 400


def index() -> SongIndex:
    extent = StemExtent(2_000_000, np.arange(0, 1_000_000, 22_050))
    songs = {f"{stem} alone": {stem: extent} for stem in STEMS}
    return SongIndex({**songs, "unlabelled": {"not-vocals-backing_vocals": extent}})


def stems_drawn(settings: MixSettings) -> Counter[str]:
    planner, songs = MixPlanner(128, settings, seed=3), index()
    return Counter(part.stem for _ in range(DRAWN) for part in planner.draw(songs).parts)


@pytest.mark.parametrize("stem", ["strings", "brass", "woodwinds", "synth", "percussion"])
def test_instruments_are_in_more_mixes(stem: str) -> None:
    assert stems_drawn(MIXES["instruments"])[stem] > 1.3 * stems_drawn(MIXES["default"])[stem]


def test_sparse_mixes_have_fewer_stems() -> None:
    default, sparse = (
        sum(stems_drawn(replace(MIXES[name], p_unlabelled=0, p_coherent=0)).values()) for name in ("default", "sparse")
    )
    assert sparse < 0.95 * default
