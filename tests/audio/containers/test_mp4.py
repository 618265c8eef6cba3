from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import pytest

from tests.audio.byte_files import after, put
from tests.audio.signals import noise, offset, read, write_av
from tests.audio.test_decode import add_itunes_atom

SAMPLES = 30001


def aac(path: Path, rate: int = 44100) -> Path:
    write_av(path, noise(2, SAMPLES), "aac", rate=rate, muxer="ipod", options={"movie_timescale": str(rate)})
    return path


def edit(path: Path, *edits: tuple[int, int]) -> None:
    """Put an edit list of as many edits into the place of the one that is there, whose room a free box fills."""
    content = bytearray(path.read_bytes())
    at = content.index(b"edts") - 4
    body = b"elst" + bytes(4) + struct.pack(">I", len(edits))
    body += b"".join(struct.pack(">IiI", length, begin, 0x10000) for length, begin in edits)
    new = struct.pack(">I", len(body) + 12) + b"edts" + struct.pack(">I", len(body) + 4) + body
    old = int.from_bytes(content[at : at + 4], "big")
    for name in (b"moov", b"trak"):
        box = content.index(name) - 4
        size = int.from_bytes(content[box : box + 4], "big")
        content[box : box + 4] = struct.pack(">I", size + len(new) - old)
    content[at : at + old] = new
    path.write_bytes(content)


MEDIA = SAMPLES + 1024
FIT = [
    [(SAMPLES, 1024)],
    [(0, 1024)],
    [(10000, 1024), (SAMPLES - 10000, 11024)],
    [(4410, -1), (MEDIA, 0)],
    [(4410, -1), (SAMPLES, 1024)],
    [(SAMPLES, 0)],
]


@pytest.mark.parametrize("edits", FIT, ids=str)
def test_edit_lists_that_tell_of_padding(tmp_path: Path, edits: list[tuple[int, int]]) -> None:
    path = aac(tmp_path / "in.m4a")
    whole = read(path)[0]
    edit(path, *edits)
    given, _, notes = read(path)
    assert np.array_equal(given, whole) and notes == []
    assert offset(given, noise(2, SAMPLES)) == 0


LIES = [
    [(4410, 1024)],
    [(SAMPLES, 20000)],
    [(SAMPLES, 2**31 - 1)],
    [(5000, 1024), (5000, 20000)],
    [(5000, 20000), (5000, 1024)],
]


@pytest.mark.parametrize("edits", LIES, ids=str)
def test_edit_lists_that_lie_drop_no_sound(tmp_path: Path, edits: list[tuple[int, int]]) -> None:
    path = aac(tmp_path / "in.m4a")
    whole = read(path)[0]
    edit(path, *edits)
    given, _, notes = read(path)
    assert given.shape[1] in (SAMPLES, MEDIA) and np.array_equal(given[:, -SAMPLES:], whole)
    assert len(notes) == 1 and "edit list" in notes[0]


def test_an_edit_list_that_cuts_on_purpose_is_followed_and_told(tmp_path: Path) -> None:
    """The track's header agrees with it, as where an application has trimmed a recording."""
    path = aac(tmp_path / "in.m4a")
    whole = read(path)[0]
    edit(path, (10000, 11024))
    put(path, after(path, b"tkhd") + 20, struct.pack(">I", 10000))
    given, _, notes = read(path)
    assert np.array_equal(given, whole[:, 10000:20000])
    assert notes == ["The file's edit list leaves out 0.48 s of its sound: they were left out."]


@pytest.mark.parametrize(("begin", "notes"), [(1024, 0), (20000, 1), (2**31 - 1, 1)])
def test_the_edit_list_of_fragments(tmp_path: Path, begin: int, notes: int) -> None:
    path = tmp_path / "in.mp4"
    options = {"movflags": "frag_keyframe+empty_moov+delay_moov", "frag_duration": "200000"}
    write_av(path, noise(2, SAMPLES), "aac", muxer="mp4", options=options)
    whole = read(path)[0]
    put(path, after(path, b"elst") + 12, struct.pack(">i", begin))
    given, _, said = read(path)
    assert np.array_equal(given[:, :SAMPLES], whole[:, :SAMPLES]) and len(said) == notes


MALFORMED = ["", " ", "garbage", " 00000000 00000400", " 00000000 00000840 00000XYZ garbage 0", " 0 -1 0 5", "ü " * 40]


@pytest.mark.parametrize("text", MALFORMED)
def test_itunes_tags_that_are_malformed_are_ignored(tmp_path: Path, text: str) -> None:
    path = aac(tmp_path / "in.m4a")
    add_itunes_atom(path, text)
    assert read(path)[0].shape == (2, SAMPLES)


@pytest.mark.parametrize("count", [0, 1, 15000, 2**63])
def test_itunes_tags_that_contradict_the_packets_are_ignored(tmp_path: Path, count: int) -> None:
    path = aac(tmp_path / "in.m4a")
    add_itunes_atom(path, f" 00000000 00000400 000002CF {count:016X} 00000000 00000000")
    assert read(path)[0].shape == (2, SAMPLES)


def test_an_itunes_tag_that_counts_less_than_the_edit_list_is_told(tmp_path: Path) -> None:
    path = aac(tmp_path / "in.m4a")
    add_itunes_atom(path, f" 00000000 00000400 000006CF {29001:016X} 00000000 00000000")
    given, _, notes = read(path)
    assert given.shape == (2, 29001)
    assert notes == ["The file's iTunSMPB tag counts 0.023 s less than its edit list: the tag was followed."]


@pytest.mark.parametrize("samples", [1, 1024, 4097, SAMPLES])
def test_alac_has_no_padding(tmp_path: Path, samples: int) -> None:
    path = tmp_path / "in.m4a"
    write_av(path, (noise(2, samples) * 32767).astype(np.int16), "alac", sample_format="s16p", muxer="ipod")
    assert read(path)[0].shape == (2, samples)


def test_half_a_file_needs_room_for_half(tmp_path: Path) -> None:
    path = tmp_path / "in.m4a"
    write_av(path, noise(2, 5 * SAMPLES), "aac", options={"movflags": "+faststart"}, bit_rate=192000)
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2])
    given, source, notes = read(path)
    assert source.duration_s == pytest.approx(given.shape[1] / 44100, abs=0.2)
    assert len(notes) == 1 and notes[0].endswith("of 3.4 s could be read.")


TABLES = [(b"stts", 8, 0), (b"stts", 8, 1), (b"stts", 8, 10), (b"stts", 8, 0x0FFFFFFF), (b"stts", 8, 0xFFFFFFFF)]
TABLES += [(b"stts", 12, 0), (b"stts", 12, 1), (b"stts", 12, 0x7FFFFFFF)]
TABLES += [(b"mdhd", 12, 0), (b"mdhd", 12, 1), (b"mdhd", 12, 48000), (b"mdhd", 12, 0xFFFFFFFF)]


@pytest.mark.parametrize(("name", "at", "value"), TABLES, ids=str)
def test_tables_that_contradict_each_other_drop_no_sound(tmp_path: Path, name: bytes, at: int, value: int) -> None:
    """They dropped nearly all sound without a note, or asked for room for months."""
    path = aac(tmp_path / "in.m4a")
    put(path, after(path, name) + at, struct.pack(">I", value))
    given, source, notes = read(path)
    assert given.shape[1] >= SAMPLES
    assert offset(given, noise(2, SAMPLES)) == 1024
    assert source.duration_s is not None and source.duration_s < 3 * SAMPLES / 44100
    assert len(notes) == 1 and "tables of the file contradict each other" in notes[0]


@pytest.mark.parametrize("samples", [1, 1024, 1025, 5000])
@pytest.mark.parametrize("rate", [8000, 44100, 96000])
@pytest.mark.parametrize("codec", ["aac", "alac"])
def test_tables_that_agree_are_followed(tmp_path: Path, codec: str, rate: int, samples: int) -> None:
    path = tmp_path / "in.m4a"
    signal = noise(2, samples)
    values = (signal * 32767).astype(np.int16) if codec == "alac" else signal
    write_av(path, values, codec, sample_format="s16p" if codec == "alac" else "fltp", muxer="ipod", rate=rate)
    given, _, notes = read(path)
    assert given.shape[1] == samples and notes == []
