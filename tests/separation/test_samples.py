"""Songs in memory, of any type that converts cleanly."""

from __future__ import annotations

import array
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from stemwright.errors import StemwrightError, UnreadableInputError, UsageError
from stemwright.separation.samples import as_rate, as_samples
from stemwright.separation.separator import Separator
from tests.separation.engines import LocalMasks

SONG = np.random.default_rng(1).uniform(-0.5, 0.5, (2, 500)).astype(np.float32)


class WithArray:
    def __array__(self, dtype: Any = None, copy: Any = None) -> NDArray[np.float32]:
        return SONG


class WithDlpack:
    def __dlpack__(self, **given: Any) -> Any:
        return SONG.__dlpack__(**given)

    def __dlpack_device__(self) -> Any:
        return SONG.__dlpack_device__()


class OnAnotherDevice:
    def __dlpack__(self, **given: Any) -> Any:
        raise BufferError("the memory is a GPU's")

    def __dlpack_device__(self) -> Any:
        return (2, 0)


def read_only() -> NDArray[np.float32]:
    song = SONG.copy()
    song.flags.writeable = False
    return song


@pytest.mark.parametrize(
    "song",
    [
        SONG.tolist(),
        tuple(map(tuple, SONG.tolist())),
        list(SONG),
        iter(list(SONG)),
        WithArray(),
        WithDlpack(),
        memoryview(SONG),  # type: ignore[arg-type]  # Python 3.11 has no type for what has a buffer
        SONG.astype(np.float64),
        SONG.astype(np.longdouble),
        SONG.astype(">f4"),
        SONG.astype(">f8"),
        np.asfortranarray(SONG),
        np.repeat(SONG, 2, axis=1)[:, ::2],
        SONG[:, ::-1][:, ::-1],
        SONG.T.copy().T,
        read_only(),
        np.ma.masked_array(SONG),
    ],
)
def test_what_holds_the_same_numbers_is_the_same_song(song: Any) -> None:
    taken = as_samples(song)
    assert taken.dtype == np.dtype(np.float32) and taken.flags.c_contiguous
    np.testing.assert_array_equal(taken, SONG)


@pytest.mark.parametrize("change", ["requires_grad_", "double", "half", "bfloat16", "t", "conj"])
def test_tensors_are_taken(change: str) -> None:
    torch = pytest.importorskip("torch")
    song = getattr(torch.tensor(SONG), change)()
    if change == "t":
        song = song.contiguous().t()
    np.testing.assert_allclose(as_samples(song), SONG, atol=2e-3)


def test_integer_tensors_are_scaled_by_their_type() -> None:
    torch = pytest.importorskip("torch")
    song = torch.tensor([[16_384, -32_768]], dtype=torch.int16)
    np.testing.assert_array_equal(as_samples(song), [[0.5, -1.0]])


@pytest.mark.parametrize("dtype", ["i1", "<i2", ">i2", "i4", "i8", "u1", "u2", ">u4", "u8"])
def test_integers_have_the_full_scale_of_their_type(dtype: str) -> None:
    info = np.iinfo(np.dtype(dtype))
    half = 2 ** (info.bits - 1)
    middle = half if info.kind == "u" else 0
    steps = [middle - half, middle - half // 2, middle, middle + half // 2]
    song = np.array([steps], np.dtype(dtype))
    np.testing.assert_array_equal(as_samples(song), [[-1.0, -0.5, 0.0, 0.5]])


def test_sixteen_and_24_bits_are_exact() -> None:
    every = np.arange(-(2**15), 2**15, dtype=np.int16)[np.newaxis]
    np.testing.assert_array_equal(as_samples(every) * 2**15, every)
    some = np.arange(-(2**23), 2**23, 997, dtype=np.int32)[np.newaxis]
    np.testing.assert_array_equal(as_samples(some * 256) * 2**23, some)


def test_an_array_of_the_standard_library() -> None:
    song = memoryview(array.array("h", [16_384, 0, -16_384, 0])).cast("B").cast("h", (2, 2))
    np.testing.assert_array_equal(as_samples(song), [[0.5, 0.0], [-0.5, 0.0]])


def test_whole_numbers_without_a_full_scale_are_never_silence() -> None:
    for song in ([[12_000, -3000]], np.array([[12_000, -3000]]), np.array([[2, 0]], np.uint64)):
        with pytest.raises(UsageError, match="full scale"):
            as_samples(song)
    np.testing.assert_array_equal(as_samples([[0, 1, -1]]), [[0.0, 1.0, -1.0]])


@pytest.mark.parametrize(
    "song",
    [
        *(None, 3, 0.5, "song.wav", b"RIFF", {}, set(), object(), OnAnotherDevice(), lambda: None),
        *([["a", "b"]], [[None, 1.0]], [[1.0, 2.0], [1.0]], [[1j, 0]]),
        *(SONG.astype(complex), SONG.astype(object), SONG > 0, np.array([["a"]]), np.zeros((1, 3), "M8[s]")),
        *(np.zeros((1, 3), [("left", "f4"), ("right", "f4")]), np.ma.masked_array(SONG, SONG > 0)),
        *(
            np.zeros(10),
            np.zeros((3, 10)),
            np.zeros((2, 2, 10)),
            np.zeros((2, 0)),
            np.zeros((0, 10)),
            np.zeros((10, 2)),
        ),
        *([], [[]], np.float32(1), np.full((2, 10), np.inf), np.full((1, 10), np.nan), np.full((1, 5), 1e300)),
    ],
)
def test_what_is_no_song_is_refused_in_one_sentence(song: Any) -> None:
    with pytest.raises((UsageError, UnreadableInputError)) as caught:
        as_samples(song)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 400


def test_a_song_that_lies_the_other_way_is_told_how_to_turn_it() -> None:
    with pytest.raises(UnreadableInputError, match=r"samples\.T"):
        as_samples(SONG.T)
    with pytest.raises(UnreadableInputError, match="newaxis"):
        as_samples(SONG[0])


@pytest.mark.parametrize(
    "rate", [None, 44_100.5, "44.1 kHz", -44_100, 0, 7, float("nan"), 10**9, 2**70, True, [44_100]]
)
def test_rates_that_are_none(rate: Any) -> None:
    with pytest.raises(UsageError, match="sample_rate"):
        as_rate(rate)


def test_the_separator_takes_them_all() -> None:
    separator = Separator.of_engine(LocalMasks(), threads=1)
    want = separator.separate(SONG, 44_100, "drums,bass")
    for song, rate, stems in [
        (SONG.tolist(), "44100", ["drums", "bass"]),
        (SONG.astype(">f8"), 44_100.0, ("Drums", "bass")),
        (WithDlpack(), np.int32(44_100), "drums, bass"),
    ]:
        made = separator.separate(song, rate, stems)
        assert list(made) == ["drums", "bass", "residual"]
        for name in made:
            np.testing.assert_array_equal(made[name], want[name])


def test_the_song_is_left_as_it_was() -> None:
    song = SONG.copy()
    Separator.of_engine(LocalMasks(), threads=1).separate(song, 44_100)
    np.testing.assert_array_equal(song, SONG)


def test_no_argument_of_separate_ends_in_an_error_of_pythons_own() -> None:
    separator = Separator.of_engine(LocalMasks(), threads=1)
    for song in (None, SONG, [[1]], WithArray()):
        for rate in (None, 44_100, "x"):
            for stems in (None, "two", ["drums"], 3):
                try:
                    separator.separate(song, rate, stems)  # type: ignore[arg-type]
                except StemwrightError:
                    continue
