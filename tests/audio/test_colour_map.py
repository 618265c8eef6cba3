from __future__ import annotations

import numpy as np
import pytest

from stemwright.audio.colour_map import colour_map, linear_rgb, mixed_map, path


def test_neighbours_differ_equally_and_lightness_rises() -> None:
    lab = path(256)
    steps = np.linalg.norm(np.diff(lab, axis=0), axis=1)
    assert steps.max() / steps.min() < 1.01
    assert (np.diff(lab[:, 0]) > 0).all()
    assert lab[0, 0] < 0.15 and lab[-1, 0] > 0.95


def test_srgb_shows_every_colour() -> None:
    rgb = linear_rgb(path(256))
    assert rgb.min() >= 0 and rgb.max() <= 1


@pytest.mark.parametrize(("lab", "rgb"), [([1, 0, 0], [1, 1, 1]), ([0.627955, 0.224863, 0.125846], [1, 0, 0])])
def test_known_colours_of_oklab(lab: list[float], rgb: list[float]) -> None:
    np.testing.assert_allclose(linear_rgb(np.array([lab])), [rgb], atol=1e-4)


def test_a_share_of_nothing_is_grey_and_of_all_the_map() -> None:
    mixed = mixed_map(32, 8).reshape(8, 32, 3).astype(int)
    assert np.ptp(mixed[0], axis=1).max() <= 1
    np.testing.assert_array_equal(mixed[-1], colour_map(32))
    saturation = np.ptp(mixed, axis=2).mean(axis=1)
    assert (np.diff(saturation) > 0).all()
