from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stemwright.audio.containers.part import Length
from stemwright.audio.containers.parts import parts_of
from stemwright.errors import UnreadableInputError
from tests.audio.byte_files import APE_FOOTER, after, id3_tag, join, put
from tests.audio.signals import noise, offset, read

SAMPLES = 22050
# What sox, arecord, FFmpeg, mpg123 and others leave where they cannot go back.
PLACEHOLDERS = [0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0x7FFFFFDB, 0xFFFE0000, 0xFFFFFFFF]
SHAPES = [("WAV", "PCM_16", 2), ("WAV", "PCM_U8", 2), ("WAV", "FLOAT", 1), ("WAVEX", "PCM_24", 2), ("WAV", "ULAW", 2)]


def wave(
    path: Path, container: str = "WAV", subtype: str = "PCM_16", channels: int = 2, samples: int = SAMPLES
) -> Path:
    soundfile.write(path, noise(channels, samples).T, 44100, format=container, subtype=subtype)
    return path


def check(path: Path, samples: int = SAMPLES, notes: int = 0) -> None:
    """All of it, the room for it, and no note."""
    given, source, said = read(path)
    assert given.shape[1] == samples
    assert source.duration_s == pytest.approx(samples / 44100, abs=0.001)
    assert len(said) == notes


@pytest.mark.parametrize("size", PLACEHOLDERS)
@pytest.mark.parametrize(("container", "subtype", "channels"), SHAPES)
def test_a_size_that_was_left_open(tmp_path: Path, container: str, subtype: str, channels: int, size: int) -> None:
    path = wave(tmp_path / "in.wav", container, subtype, channels)
    whole = read(path)[0]
    put(path, 4, struct.pack("<I", min(size + 36, 2**32 - 1)))
    put(path, after(path, b"data"), struct.pack("<I", size))
    check(path)
    assert np.array_equal(read(path)[0], whole)


@pytest.mark.parametrize(("container", "subtype", "channels"), SHAPES)
def test_a_file_that_is_cut_says_so(tmp_path: Path, container: str, subtype: str, channels: int) -> None:
    path = wave(tmp_path / "in.wav", container, subtype, channels)
    at = after(path, b"data")
    size = int.from_bytes(path.read_bytes()[at : at + 4], "little")
    put(path, at, struct.pack("<I", 3 * size))
    check(path, notes=1)
    assert read(path)[2] == ["The file ends early: 0.5 of 1.5 s could be read."]


@pytest.mark.parametrize("byte_rate", [0, 1, 8000, 2**32 - 1])
def test_a_wrong_byte_rate(tmp_path: Path, byte_rate: int) -> None:
    path = wave(tmp_path / "in.wav")
    put(path, 28, struct.pack("<I", byte_rate))
    check(path)


@pytest.mark.parametrize("sizes", [(0, 0), (2**63 - 1, 2**63 - 1), (2**64 - 1, 2**64 - 1), (88236, 0)])
def test_rf64_whose_sizes_were_never_written(tmp_path: Path, sizes: tuple[int, int]) -> None:
    path = wave(tmp_path / "in.wav", "RF64")
    put(path, after(path, b"ds64") + 4, struct.pack("<QQQ", *sizes, 0))
    check(path)


@pytest.mark.parametrize("size", [0, 24, 2**63 - 1, 2**64 - 1])
def test_wave64_whose_size_was_left_open(tmp_path: Path, size: int) -> None:
    path = wave(tmp_path / "in.w64", "W64")
    put(path, after(path, b"data") + 12, struct.pack("<Q", size))
    check(path)


@pytest.mark.parametrize(("container", "mark", "skip"), [("RF64", b"ds64", 12), ("W64", b"data", 12)])
def test_large_kinds_that_are_cut_say_so(tmp_path: Path, container: str, mark: bytes, skip: int) -> None:
    path = wave(tmp_path / "in.wav", container)
    put(path, after(path, mark) + skip, struct.pack("<Q", 3 * 88200))
    check(path, notes=1)


def test_big_endian(tmp_path: Path) -> None:
    path = tmp_path / "in.wav"
    soundfile.write(path, noise(2, SAMPLES).T, 44100, endian="BIG")
    assert path.read_bytes()[:4] == b"RIFX"
    check(path)
    put(path, after(path, b"data"), b"\xff" * 4)
    check(path)


def test_no_sample_but_chunks_behind(tmp_path: Path) -> None:
    path = wave(tmp_path / "in.wav", samples=0)
    join(path, path.read_bytes()[:44], b"LIST" + struct.pack("<I", 6) + b"INFO\0\0")
    with pytest.raises(UnreadableInputError, match="zero samples"):
        read(path)


def test_chunks_of_an_odd_size_around_the_sound(tmp_path: Path) -> None:
    head, sound = (data := wave(tmp_path / "in.wav").read_bytes())[:12], data[12:]
    odd = b"junk" + struct.pack("<I", 3) + b"abc\0"
    check(join(tmp_path / "odd.wav", head, odd, sound, odd))


@pytest.mark.parametrize("between", [b"", b"LIST" + struct.pack("<I", 4) + b"INFO"])
def test_joined_files(tmp_path: Path, between: bytes) -> None:
    path = wave(tmp_path / "in.wav")
    given, source, notes = read(join(tmp_path / "both.wav", path, between, path, between, path))
    assert np.array_equal(given, np.tile(read(path)[0], 3)) and notes == []
    assert source.duration_s == pytest.approx(1.5)


def test_what_stands_behind_the_sound_is_told(tmp_path: Path) -> None:
    """A header that counts less than was recorded, or more than 4 GB counted in 32 bits."""
    path = wave(tmp_path / "in.wav")
    put(path, after(path, b"data"), struct.pack("<I", 2000))
    given, _, notes = read(path)
    assert given.shape == (2, 500)
    assert notes == ["Behind the sound that the header counts, 0.5 s of data were left out."]


def test_more_than_4_gb_counted_in_32_bits(tmp_path: Path) -> None:
    path = wave(tmp_path / "in.wav")
    with path.open("r+b") as file:
        file.truncate(2**32 + file.seek(0, 2))  # a sparse file
    (part,) = parts_of(path)
    assert part.length == Length((2**32 + SAMPLES * 4) / 4 / 44100) and part.pieces is not None


@pytest.mark.parametrize("front", [id3_tag(16), id3_tag(300_000), id3_tag(10) + id3_tag(20) + APE_FOOTER])
def test_tags_before_the_header(tmp_path: Path, front: bytes) -> None:
    path = wave(tmp_path / "in.wav")
    whole = read(path)[0]
    given = read(join(tmp_path / "tagged.wav", front, path))
    assert np.array_equal(given[0], whole) and given[2] == []


@pytest.mark.parametrize("samples", [1, 505, 30001])
def test_ms_adpcm_ends_where_its_count_does(tmp_path: Path, samples: int) -> None:
    check(wave(tmp_path / "in.wav", subtype="MS_ADPCM", samples=samples), samples)


@pytest.mark.parametrize("times", [1, 2])
def test_mp3_in_riff(tmp_path: Path, times: int) -> None:
    """The info frame is no sound, and tells of the padding."""
    signal = noise(2, SAMPLES)
    mp3 = tmp_path / "in.mp3"
    soundfile.write(mp3, signal.T, 44100, format="MP3")
    sound = times * mp3.read_bytes()
    fmt = struct.pack("<HHIIHHHHIHHH", 0x55, 2, 44100, 16000, 1, 0, 12, 1, 2, 417, 1, 1393)
    body = b"WAVEfmt " + struct.pack("<I", len(fmt)) + fmt + b"data" + struct.pack("<I", len(sound)) + sound
    path = join(tmp_path / "in.wav", b"RIFF" + struct.pack("<I", len(body)), body)
    check(path, times * SAMPLES)
    assert offset(read(path)[0][:, -SAMPLES:], signal) == 0


@pytest.mark.parametrize("between", [b"", b"LIST\x04\0\0\0INFO"], ids=["at once", "later"])
def test_a_second_data_chunk_is_told(tmp_path: Path, between: bytes) -> None:
    path = wave(tmp_path / "in.wav")
    sound = path.read_bytes()[after(path, b"data") - 4 :]
    join(path, path, between, sound)
    given, _, notes = read(path)
    assert given.shape[1] == SAMPLES
    assert notes == ["The file has more than one data chunk: 0.5 s in the others were left out."]
