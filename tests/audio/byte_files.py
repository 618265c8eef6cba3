"""Changes to the bytes of files, and tags as other programs write them."""

from __future__ import annotations

import struct
from pathlib import Path

V1_TAG = b"TAG" + b"Title".ljust(125, b"\0")
APE_FOOTER = b"APETAGEX" + struct.pack("<4I", 2000, 32, 0, 0) + bytes(8)


def id3_tag(size: int) -> bytes:
    """An ID3v2.3 tag of padding."""
    return b"ID3\x03\0\0" + bytes(size >> shift & 127 for shift in (21, 14, 7, 0)) + bytes(size)


def put(path: Path, at: int, data: bytes) -> None:
    """Overwrite bytes of a file."""
    content = bytearray(path.read_bytes())
    content[at : at + len(data)] = data
    path.write_bytes(content)


def join(path: Path, *parts: Path | bytes) -> Path:
    """What ``cat`` does."""
    path.write_bytes(b"".join(part if isinstance(part, bytes) else part.read_bytes() for part in parts))
    return path


def after(path: Path, mark: bytes) -> int:
    """The place behind the first ``mark``."""
    return path.read_bytes().index(mark) + len(mark)


def change_page(path: Path, number: int, at: int, data: bytes) -> None:
    """Overwrite bytes of a page of an Ogg file, and put its checksum right; ``number`` may count from the end."""
    content = bytearray(path.read_bytes())
    pages, start = [], 0
    while start < len(content):
        table = content[start + 27 : start + 27 + content[start + 26]]
        pages.append((start, start + 27 + len(table) + sum(table)))
        start = pages[-1][1]
    start, stop = pages[number]
    content[start + at : start + at + len(data)] = data
    content[start + 22 : start + 26] = bytes(4)
    checksum = 0
    for byte in content[start:stop]:
        checksum ^= byte << 24
        for _ in range(8):
            checksum = (checksum << 1 ^ 0x04C11DB7) & 0xFFFFFFFF if checksum & 0x80000000 else checksum << 1
    content[start + 22 : start + 26] = struct.pack("<I", checksum)
    path.write_bytes(content)
