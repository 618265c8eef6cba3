from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from stemwright.audio.downmix import fold_matrix
from tests.audio.signals import noise, read, write_av

C = np.sqrt(0.5)
# layout: gains to the left and to the right of every channel, in the order of the file
LAYOUTS = {
    "3.0": ([1, 0, C], [0, 1, C]),
    "quad": ([1, 0, C, 0], [0, 1, 0, C]),
    "4.0": ([1, 0, C, 0.5], [0, 1, C, 0.5]),
    "5.0": ([1, 0, C, C, 0], [0, 1, C, 0, C]),
    "5.1": ([1, 0, C, 0, C, 0], [0, 1, C, 0, 0, C]),
    "5.1(side)": ([1, 0, C, 0, C, 0], [0, 1, C, 0, 0, C]),
    "6.1": ([1, 0, C, 0, 0.5, C, 0], [0, 1, C, 0, 0.5, 0, C]),
    "7.1": ([1, 0, C, 0, C, 0, C, 0], [0, 1, C, 0, 0, C, 0, C]),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_fold_follows_bs775(tmp_path: Path, layout: str) -> None:
    gains = np.array(LAYOUTS[layout])
    signal = noise(gains.shape[1], 5000) * 10  # loud, so that the sum passes full scale
    path = tmp_path / "in.wav"
    write_av(path, signal, "pcm_f32le", sample_format="flt", layout=layout, rate=192000)
    given, source, notes = read(path)
    expected = gains @ signal
    assert np.abs(expected).max() > 1
    np.testing.assert_allclose(given, expected, atol=1e-6)
    assert (source.file_channels, source.channels, source.layout) == (gains.shape[1], 2, layout)
    assert len(notes) == 1 and "BS.775" in notes[0] and layout in notes[0]


def test_unnamed_channels_are_taken_in_the_usual_order() -> None:
    unnamed = fold_matrix(["NONE"] * 6)
    assert np.array_equal(unnamed, fold_matrix(["FL", "FR", "FC", "LFE", "BL", "BR"]))


def test_strange_channels_are_not_lost() -> None:
    assert np.array_equal(fold_matrix(["FL", "FR", "XYZ"])[:, 2], np.array([0.5, 0.5], np.float32))
