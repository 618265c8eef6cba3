from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from stemwright.separation.playing_masks import ACCOMPANIMENT, PlayingMasks
from stemwright.stems import STEMS
from tests.separation.engines import LocalMasks

OTHERS = tuple(stem for stem in STEMS if stem not in ACCOMPANIMENT)


def spectrum(seed: int = 5) -> NDArray[np.complex64]:
    rng = np.random.default_rng(seed)
    shape = (9, 2, 2049)
    return (rng.standard_normal(shape) + 1j * rng.standard_normal(shape)).astype(np.complex64)


def masks_of(playing: tuple[str, ...], engine: LocalMasks | None = None) -> dict[str, NDArray[np.float32]]:
    engine = engine or LocalMasks()
    masks = PlayingMasks(engine, playing).masks(spectrum())
    return {stem: masks[:, place] for place, stem in enumerate(engine.stems)}


@given(st.sets(st.sampled_from(STEMS), min_size=1))
@settings(max_examples=25, deadline=None)
def test_masks_sum_to_one_and_only_what_plays_has_one(playing: set[str]) -> None:
    masks = masks_of(tuple(playing))
    np.testing.assert_allclose(sum(masks.values()), 1, atol=1e-5)
    for stem, mask in masks.items():
        assert (mask >= 0).all()
        assert mask.any() == (stem in playing)


def test_what_absent_accompaniment_had_goes_to_the_accompaniment_that_plays() -> None:
    before = masks_of(STEMS)
    after = masks_of((*OTHERS, "guitar", "brass"))
    for stem in OTHERS:
        np.testing.assert_array_equal(after[stem], before[stem])
    whole = np.sum([before[stem] for stem in ACCOMPANIMENT], axis=0)
    np.testing.assert_allclose(after["guitar"] + after["brass"], whole, atol=1e-6)
    ratio = before["guitar"] / (before["guitar"] + before["brass"])
    np.testing.assert_allclose(after["guitar"], ratio * whole, atol=1e-4)


def test_where_no_accompaniment_plays_its_share_is_divided_among_all() -> None:
    before, after = masks_of(STEMS), masks_of(("drums", "bass"))
    ratio = before["drums"] / (before["drums"] + before["bass"])
    np.testing.assert_allclose(after["drums"], ratio, atol=1e-4)


def test_where_all_play_nothing_changes() -> None:
    engine = LocalMasks()
    np.testing.assert_array_equal(PlayingMasks(engine, STEMS).masks(spectrum()), engine.masks(spectrum()))


@pytest.mark.parametrize("playing", [("guitar",), ("guitar", "brass")])
def test_an_engine_that_gives_none_of_them_keeps_its_masks(playing: tuple[str, ...]) -> None:
    engine = replace(LocalMasks(), stems=("vocals", "drums", "bass"))
    np.testing.assert_array_equal(PlayingMasks(engine, playing).masks(spectrum()), engine.masks(spectrum()))


def test_a_stem_that_the_network_does_not_hear_at_all_gets_the_sound_of_its_point_if_it_alone_plays() -> None:
    masks = masks_of(("brass",), LocalMasks(absent=("brass",)))
    np.testing.assert_allclose(masks["brass"], 1, atol=1e-5)
