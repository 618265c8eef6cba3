from __future__ import annotations

import numpy as np
import pytest

from stemwright.models.tensor_layout import TensorLayout

SIZES = {"channel": 2, "part": 2, "bin": 5, "frame": 7, "source": 3}


@pytest.mark.parametrize(
    ("text", "shape"),
    [
        ("1 channel bin frame part", (1, 2, 5, 7, 2)),
        ("1 frame (bin channel part)", (1, 7, 20)),
        ("(channel part) 1 bin frame", (4, 1, 5, 7)),
        ("1 source (bin channel) frame part", (1, 3, 10, 7, 2)),
    ],
)
def test_packing_and_unpacking_are_inverse(text: str, shape: tuple[int, ...]) -> None:
    layout = TensorLayout.parse(text)
    axes = tuple(axis for axis in SIZES if axis in layout.axes)
    values = np.arange(np.prod([SIZES[axis] for axis in axes])).reshape([SIZES[axis] for axis in axes])
    tensor = layout.pack(values, axes)
    assert tensor.shape == shape == layout.shape(SIZES)
    np.testing.assert_array_equal(layout.unpack(tensor, axes, SIZES), values)


def test_the_last_axis_in_brackets_counts_first() -> None:
    layout = TensorLayout.parse("1 frame (bin channel part)")
    values = np.random.default_rng(0).random((2, 2, 5, 7))  # (channel, part, bin, frame)
    tensor = layout.pack(values, ("channel", "part", "bin", "frame"))
    for channel, part, bin_, frame in ((0, 0, 0, 0), (1, 0, 3, 6), (0, 1, 4, 2), (1, 1, 2, 5)):
        assert tensor[0, frame, (bin_ * 2 + channel) * 2 + part] == values[channel, part, bin_, frame]


@pytest.mark.parametrize(
    "text", ["", " bin", "bin  frame", "(bin", "(bin frame", "bin,frame", "((bin) frame)", "(1 bin"]
)
def test_what_is_no_layout_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a list of axes"):
        TensorLayout.parse(text)


def test_an_axis_is_named_once() -> None:
    with pytest.raises(ValueError, match="names an axis twice"):
        TensorLayout.parse("1 bin (bin frame)")
