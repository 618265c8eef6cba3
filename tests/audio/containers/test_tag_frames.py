from __future__ import annotations

import struct
from pathlib import Path

import pytest

from stemwright.audio.containers.pieces import Window
from stemwright.audio.containers.tag_frames import end_of_front_tags, front_tag_size, start_of_end_tags
from tests.audio.byte_files import APE_FOOTER, V1_TAG, id3_tag

SOUND = b"\xff\xfb\x90\x64" * 100
LYRICS = b"LYRICSBEGIN" + b"IND00002" + b"10" + b"000021" + b"LYRICS200"
APE = b"APETAGEX" + struct.pack("<4I", 2000, 32, 0, 0xA0000000) + bytes(8) + b"APETAGEX"
APE += struct.pack("<4I", 2000, 32, 0, 0x80000000) + bytes(8)
WITH_FOOT = b"ID3\x04\0\x10\0\0\0\x05" + bytes(5) + b"3DI\x04\0\x10\0\0\0\x05"


@pytest.mark.parametrize(
    "tags", [V1_TAG, APE_FOOTER, APE, id3_tag(0), id3_tag(300), WITH_FOOT, LYRICS, id3_tag(9) + APE]
)
def test_tags_before_sound(tmp_path: Path, tags: bytes) -> None:
    path = tmp_path / "in.file"
    path.write_bytes(tags + SOUND)
    with path.open("rb") as file:
        assert end_of_front_tags(Window(file), 0) == len(tags)
        assert front_tag_size(Window(file), len(tags)) == 0


@pytest.mark.parametrize("tags", [V1_TAG, APE_FOOTER, APE, WITH_FOOT, LYRICS, LYRICS + V1_TAG, APE + LYRICS + V1_TAG])
def test_tags_behind_sound(tmp_path: Path, tags: bytes) -> None:
    path = tmp_path / "in.file"
    path.write_bytes(SOUND + tags)
    with path.open("rb") as file:
        window = Window(file)
        assert start_of_end_tags(window, 0, window.size) == len(SOUND)
