"""Segments abut: decoded and laid end to end they are the file, to the sample."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from stemwright.audio.decode import Decoder
from stemwright.audio.encode import Encoder, Tags
from stemwright.audio.formats import OutputFormat
from stemwright.errors import UnreadableInputError
from stemwright.service import segment_cutter
from stemwright.service.segment_cutter import NoSuchSegment, Segment, SegmentCutter

RATE = 8_000
SEGMENT = 5 * RATE


def music(seconds: float, channels: int = 2, peak: float = 0.9) -> NDArray[np.float64]:
    """``(samples, channels)``"""
    rng = np.random.default_rng(3)
    return rng.uniform(-peak, peak, (int(seconds * RATE), channels))


def joined(cutter: SegmentCutter, path: Path, *, seekable: bool) -> tuple[NDArray[np.float64], list[Segment]]:
    segments: list[Segment] = []
    while True:
        try:
            segments.append(cutter.cut(path, len(segments), seekable=seekable))
        except NoSuchSegment:
            break
    decoded = [soundfile.read(io.BytesIO(segment.content), always_2d=True)[0] for segment in segments]
    assert all(len(samples) == SEGMENT for samples in decoded[:-1])
    return np.concatenate(decoded), segments


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize(
    ("form", "subtype", "media_type"),
    [
        ("WAV", "PCM_16", "audio/flac"),
        ("WAV", "PCM_24", "audio/flac"),
        ("FLAC", "PCM_16", "audio/flac"),
        ("FLAC", "PCM_24", "audio/flac"),
        ("AIFF", "PCM_24", "audio/flac"),
    ],
)
@pytest.mark.parametrize("seekable", [True, False])
def test_lossless_files_come_back_bit_for_bit(
    tmp_path: Path, form: str, subtype: str, media_type: str, channels: int, seekable: bool
) -> None:
    path = tmp_path / "stem"
    soundfile.write(path, music(12.3, channels), RATE, format=form, subtype=subtype)
    whole, segments = joined(SegmentCutter(), path, seekable=seekable)
    np.testing.assert_array_equal(whole, soundfile.read(path, always_2d=True)[0])
    assert {segment.media_type for segment in segments} == {media_type}
    assert soundfile.info(io.BytesIO(segments[0].content)).subtype == "PCM_24"


@pytest.mark.parametrize("seekable", [True, False])
def test_short_segments_abut_and_may_be_asked_for_among_long_ones(tmp_path: Path, seekable: bool) -> None:
    path = tmp_path / "stem"
    soundfile.write(path, music(7.4), RATE, format="FLAC", subtype="PCM_16")
    cutter = SegmentCutter()

    def second(number: int) -> NDArray[np.float64]:
        content = cutter.cut(path, number, seekable=seekable, is_short=True).content
        return np.asarray(soundfile.read(io.BytesIO(content))[0])

    late = second(6)
    whole, _ = joined(cutter, path, seekable=seekable)
    np.testing.assert_array_equal(late, whole[6 * RATE : 7 * RATE])
    np.testing.assert_array_equal(np.concatenate([second(number) for number in range(8)]), whole)
    with pytest.raises(NoSuchSegment):
        second(8)


def test_16_bits_take_no_more_room_as_24(tmp_path: Path) -> None:
    path = tmp_path / "stem"
    soundfile.write(path, music(5, peak=0.2), RATE, format="WAV", subtype="PCM_16")
    plain = io.BytesIO()
    soundfile.write(plain, soundfile.read(path, dtype="int16")[0], RATE, format="FLAC", compression_level=0.5)
    assert len(SegmentCutter().cut(path, 0, seekable=True).content) < 1.02 * len(plain.getvalue())


@pytest.mark.parametrize(("peak", "media_type"), [(0.9, "audio/flac"), (1.7, "audio/wav")])
def test_floats_keep_24_bits_or_stay_floats_beyond_full_scale(tmp_path: Path, peak: float, media_type: str) -> None:
    path = tmp_path / "stem"
    soundfile.write(path, music(7, peak=peak), RATE, format="WAV", subtype="FLOAT")
    whole, segments = joined(SegmentCutter(), path, seekable=True)
    np.testing.assert_allclose(whole, soundfile.read(path, always_2d=True)[0], rtol=0, atol=2**-24)
    assert segments[0].media_type == media_type


@pytest.mark.parametrize(("name", "kbps"), [("mp3", 128), ("m4a", 96), ("ogg", None), ("opus", 96)])
def test_lossy_files_are_what_the_decoder_gives(tmp_path: Path, name: str, kbps: int | None) -> None:
    path = tmp_path / f"stem.{name}"
    fmt = OutputFormat(name, name, None, kbps, lossless=False)
    with Encoder(path, fmt, sample_rate=48_000, channels=2, tags=Tags(None, None, None, "x")) as encoder:
        encoder.write(np.random.default_rng(1).uniform(-0.2, 0.2, (2, 48_000 * 11)).astype(np.float32))
    with Decoder(path) as decoder:
        expected = np.concatenate(list(decoder), axis=1).T
    cutter = SegmentCutter()
    pieces = [soundfile.read(io.BytesIO(cutter.cut(path, n, seekable=False).content))[0] for n in range(3)]
    np.testing.assert_allclose(np.concatenate(pieces), expected, rtol=0, atol=2**-24)
    back = soundfile.read(io.BytesIO(cutter.cut(path, 1, seekable=False).content))[0]
    np.testing.assert_array_equal(back, pieces[1])


@pytest.mark.parametrize("seekable", [True, False])
def test_an_exact_number_of_segments_has_no_empty_one(tmp_path: Path, seekable: bool) -> None:
    soundfile.write(tmp_path / "stem", music(10), RATE, format="WAV")
    assert len(joined(SegmentCutter(), tmp_path / "stem", seekable=seekable)[1]) == 2


def test_a_skip_forward_gives_the_same_samples(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "stem", music(23), RATE, format="WAV")
    cutter = SegmentCutter()
    for index in (3, 1, 2, 4, 0):
        decoded = cutter.cut(tmp_path / "stem", index, seekable=False)
        assert decoded == cutter.cut(tmp_path / "stem", index, seekable=True)


def test_only_so_many_decoders_stay_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_cutter, "OPEN_DECODERS", 2)
    cutter = SegmentCutter()
    for number in range(4):
        soundfile.write(tmp_path / str(number), music(6), RATE, format="WAV")
        cutter.cut(tmp_path / str(number), 0, seekable=False)
    assert len(cutter._open) == 2


@pytest.mark.parametrize("seekable", [True, False])
def test_what_is_no_sound_is_an_error(tmp_path: Path, seekable: bool) -> None:
    (tmp_path / "page").write_bytes(b"<html>")
    with pytest.raises(UnreadableInputError):
        SegmentCutter().cut(tmp_path / "page", 0, seekable=seekable)
