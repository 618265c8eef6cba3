from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from tests.audio.byte_files import after, id3_tag, join, put
from tests.audio.containers.test_wave import SAMPLES, check
from tests.audio.signals import noise, read

# COMM's count of frames and SSND's size, as sox, FFmpeg and others leave them
PLACEHOLDERS = [
    (0, 0),
    (0, 8),
    (0, 2**32 - 1),
    (2**32 - 1, 2**32 - 1),
    (0x1FFFFFFF, 0x7FFFFFFF),
    (0x1FC00000, 0x7F000008),
]


def aiff(path: Path, subtype: str) -> Path:
    soundfile.write(path, noise(2, SAMPLES).T, 44100, subtype=subtype)
    return path


@pytest.mark.parametrize(("frames", "size"), PLACEHOLDERS)
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_S8", "FLOAT", "ULAW"])
def test_a_size_that_was_left_open(tmp_path: Path, subtype: str, frames: int, size: int) -> None:
    path = aiff(tmp_path / "in.aiff", subtype)
    put(path, 4, struct.pack(">I", min(size + 46, 2**32 - 1)))
    put(path, after(path, b"COMM") + 6, struct.pack(">I", frames))
    put(path, after(path, b"SSND"), struct.pack(">I", size))
    check(path)


def test_a_file_that_is_cut_says_so(tmp_path: Path) -> None:
    path = aiff(tmp_path / "in.aiff", "PCM_16")
    put(path, after(path, b"COMM") + 6, struct.pack(">I", 3 * SAMPLES))
    put(path, after(path, b"SSND"), struct.pack(">I", 3 * SAMPLES * 4 + 8))
    check(path, notes=1)


def test_the_byte_that_fills_up_a_chunk_is_no_sound(tmp_path: Path) -> None:
    path = tmp_path / "in.aiff"
    soundfile.write(path, noise(1, 22051).T, 44100, subtype="PCM_S8")
    put(path, after(path, b"COMM") + 6, struct.pack(">I", 22051))  # libsndfile counts the byte that fills up
    put(path, after(path, b"SSND"), struct.pack(">I", 22051 + 8))
    check(path, 22051)


def test_a_tag_before_the_header(tmp_path: Path) -> None:
    check(join(tmp_path / "tagged.aiff", id3_tag(100), aiff(tmp_path / "in.aiff", "PCM_24")))


@pytest.mark.parametrize("size", [0, 0x7FFFFFFF, 2**32 - 1])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "ULAW", "DOUBLE"])
def test_au(tmp_path: Path, subtype: str, size: int) -> None:
    path = aiff(tmp_path / "in.au", subtype)
    check(path)
    put(path, 8, struct.pack(">I", size))
    check(path)
    put(path, 8, struct.pack(">I", 3 * path.stat().st_size))
    check(path, notes=1)


@pytest.mark.parametrize("size", [100, 20_000])
def test_a_size_that_is_too_small_drops_no_sound(tmp_path: Path, size: int) -> None:
    """The count of frames fits the bytes."""
    path = tmp_path / "in.aiff"
    soundfile.write(path, noise(2, 22050).T, 44100, format="AIFF", subtype="PCM_16")
    whole = read(path)[0]
    put(path, after(path, b"SSND"), struct.pack(">I", size))
    given, source, notes = read(path)
    assert np.array_equal(given, whole) and notes == []
    assert source.duration_s == 0.5


@pytest.mark.parametrize("frames", [0x80000000, 0xFFFFFFFF])
def test_a_count_of_frames_that_was_left_open(tmp_path: Path, frames: int) -> None:
    """FFmpeg refuses the file."""
    path = tmp_path / "in.aiff"
    soundfile.write(path, noise(2, 22050).T, 44100, format="AIFF", subtype="PCM_16")
    whole = read(path)[0]
    put(path, after(path, b"COMM") + 6, struct.pack(">I", frames))
    given, _, notes = read(path)
    assert np.array_equal(given, whole) and notes == []


@pytest.mark.parametrize("kind", ["AU", "W64", "CAF"])
def test_bytes_that_no_header_counts_are_told(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "in"
    soundfile.write(path, noise(2, 22050).T, 44100, format=kind, subtype="PCM_16")
    if kind == "AU":
        put(path, 8, struct.pack(">I", 400))
    elif kind == "W64":
        put(path, after(path, b"data") + 12, struct.pack("<Q", 424))
    else:
        put(path, after(path, b"data"), struct.pack(">Q", 404))
    given, _, notes = read(path)
    assert given.shape[1] == 100
    assert notes == ["Behind the sound that the header counts, 0.5 s of data were left out."]
