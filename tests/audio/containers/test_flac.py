from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.audio.byte_files import APE_FOOTER, V1_TAG, id3_tag, join, put
from tests.audio.signals import noise, read

SAMPLES = 30001


def flac(path: Path, rate: int = 44100, channels: int = 2, samples: int = SAMPLES) -> Path:
    soundfile.write(path, noise(channels, samples).T, rate, subtype="PCM_16")
    return path


@pytest.mark.parametrize("between", [b"", V1_TAG, APE_FOOTER + V1_TAG, id3_tag(5000)])
def test_joined_files(tmp_path: Path, between: bytes) -> None:
    path = flac(tmp_path / "one.flac")
    alone = read(path)[0]
    given, source, notes = read(join(tmp_path / "both.flac", between, path, between, path, between))
    assert np.array_equal(given, np.tile(alone, 2)) and notes == []
    assert source.duration_s == pytest.approx(2 * SAMPLES / 44100)


def test_joined_files_of_other_rates_and_channels(tmp_path: Path) -> None:
    first, second = flac(tmp_path / "a.flac"), flac(tmp_path / "b.flac", 96000, 1)
    given, _, notes = read(join(tmp_path / "both.flac", first, second))
    assert given.shape == (2, SAMPLES + round(SAMPLES * 44100 / 96000))
    assert len(notes) == 2


@pytest.mark.parametrize("total", [0, 5, SAMPLES + 1, 10**9, 2**36 - 1])
def test_a_length_that_was_left_open_or_is_wrong(tmp_path: Path, total: int) -> None:
    path = flac(tmp_path / "in.flac")
    fifth = path.read_bytes()[21]
    put(path, 21, bytes([fifth & 0xF0 | total >> 32]) + struct.pack(">I", total & 0xFFFFFFFF))
    given, source, notes = read(path)
    assert given.shape == (2, SAMPLES) and notes == []
    assert source.duration_s == pytest.approx(SAMPLES / 44100)


def test_a_file_that_is_cut_says_so(tmp_path: Path) -> None:
    data = flac(tmp_path / "in.flac", samples=5 * SAMPLES).read_bytes()
    given, source, notes = read(join(tmp_path / "half.flac", data[: len(data) // 2]))
    assert source.duration_s == pytest.approx(given.shape[1] / 44100, abs=0.1)
    assert len(notes) == 1 and notes[0].startswith("The file ends early")


@pytest.mark.parametrize("samples", [1, 16, 17, 4095, 4097])
def test_short_files(tmp_path: Path, samples: int) -> None:
    path = flac(tmp_path / "in.flac", samples=samples)
    assert read(path)[0].shape == (2, samples)
