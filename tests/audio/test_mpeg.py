from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from stemwright.audio import mpeg
from stemwright.audio.parts import parts_of
from tests.audio.byte_files import APE_FOOTER, V1_TAG, id3_tag, join, put
from tests.audio.signals import noise, offset, read, write_av

SAMPLES = 30001


def mp3(path: Path, rate: int = 44100, channels: int = 2, samples: int = SAMPLES, **options: str) -> Path:
    layout = "mono" if channels == 1 else "stereo"
    write_av(path, noise(channels, samples), "libmp3lame", rate=rate, layout=layout, options=options)
    return path


@pytest.mark.parametrize("between", [b"", V1_TAG, APE_FOOTER, APE_FOOTER + V1_TAG, id3_tag(70_000)])
@pytest.mark.parametrize("rate", [44100, 22050])
def test_joined_files_keep_their_own_lengths(tmp_path: Path, rate: int, between: bytes) -> None:
    path = mp3(tmp_path / "one.mp3", rate)
    alone = read(path)[0]
    given, source, notes = read(join(tmp_path / "both.mp3", path, between, path, between))
    assert np.array_equal(given, np.tile(alone, 2)) and notes == []
    assert source.duration_s == pytest.approx(2 * SAMPLES / rate, abs=0.001)


@pytest.mark.parametrize("between", [b"", V1_TAG, id3_tag(70)])
def test_long_files_are_scanned_alike(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, between: bytes) -> None:
    path = mp3(tmp_path / "one.mp3", samples=2 * SAMPLES)
    both = join(tmp_path / "both.mp3", path, between, path, mp3(tmp_path / "mono.mp3", channels=1), between)
    careful = parts_of(both)
    assert len(careful) == 3
    monkeypatch.setattr(mpeg, "WINDOW_BYTES", 4096)  # else only what is longer takes the quick way
    assert parts_of(both) == careful


def test_joined_files_of_other_rates_and_channels(tmp_path: Path) -> None:
    paths = [
        mp3(tmp_path / "a.mp3"),
        mp3(tmp_path / "b.mp3", 48000),
        mp3(tmp_path / "c.mp3", 22050, 1),
    ]
    given, source, notes = read(join(tmp_path / "all.mp3", *paths))
    assert given.shape == (2, SAMPLES + round(SAMPLES * 44100 / 48000) + 2 * SAMPLES)
    assert source.duration_s == pytest.approx(given.shape[1] / 44100, abs=0.001)
    assert [note.split(" Hz at")[0] for note in notes] == [
        "The sample rate of the file changes from 44100 to 48000",
        "The number of channels changes in the file: all was brought to that of its start.",
        "The sample rate of the file changes from 44100 to 22050",
    ]


@pytest.mark.parametrize("between", [b"", V1_TAG, APE_FOOTER, id3_tag(200)])
def test_tags_between_frames_without_info(tmp_path: Path, between: bytes) -> None:
    """One decoder goes on: a tag in the midst of a stream, as broadcasts have it, costs nothing."""
    path = mp3(tmp_path / "one.mp3", write_xing="0", id3v2_version="0")
    alone = read(path)[0]
    given, _, notes = read(join(tmp_path / "both.mp3", path, between, path))
    assert given.shape[1] == 2 * alone.shape[1] and notes == []


@pytest.mark.parametrize("frames", [0, 1, 5, 10**6, 2**32 - 1])
def test_a_count_of_frames_that_lies_drops_no_sound(tmp_path: Path, frames: int) -> None:
    path = mp3(tmp_path / "in.mp3")
    whole = read(path)[0]
    put(path, path.read_bytes().index(b"Info") + 8, struct.pack(">I", frames))
    given, source, notes = read(path)
    assert np.array_equal(given[:, :SAMPLES], whole) and given.shape[1] < SAMPLES + 1152
    assert source.duration_s == pytest.approx(SAMPLES / 44100, abs=0.05)
    assert notes == []


def test_padding_that_no_encoder_adds_is_ignored(tmp_path: Path) -> None:
    path = mp3(tmp_path / "in.mp3")
    whole = read(path)[0]
    at = path.read_bytes().index(b"Lav", path.read_bytes().index(b"Info")) + 21
    put(path, at, b"\xff\xff\xff")
    given, _, notes = read(path)
    late = offset(given, whole)
    assert np.array_equal(given[:, late : late + SAMPLES], whole)
    assert len(notes) == 1 and "more padding" in notes[0]


def test_a_file_that_is_cut_says_so(tmp_path: Path) -> None:
    path = mp3(tmp_path / "in.mp3", samples=5 * SAMPLES)
    data = path.read_bytes()
    given, source, notes = read(join(tmp_path / "half.mp3", data[: len(data) // 2]))
    assert source.duration_s == pytest.approx(given.shape[1] / 44100, abs=0.1)
    assert (
        len(notes) == 1 and notes[0].startswith("The file ends early") and notes[0].endswith("of 3.4 s could be read.")
    )
