"""Joined FLAC files, and the length of each by its last frame (RFC 9639)."""

from __future__ import annotations

import re
from collections.abc import Iterator

from stemwright.audio.containers.part import Length, Part
from stemwright.audio.containers.pieces import Span, Window
from stemwright.audio.containers.tag_frames import front_tag_size, start_of_end_tags

HEAD = b"fLaC\x00\x00\x00\x22"  # the first block of metadata is STREAMINFO, of 34 bytes
SCAN_BYTES = 1 << 18
# The last frame begins within so many bytes of the end: 65535 samples of 8 channels of 32 bits take 2 MB.
TAIL_BYTES = 1 << 21


def joined_parts(window: Window, start: int) -> list[Part]:
    """The joined files from ``start`` on, each without the tags around it."""
    heads = [start, *_heads(window, end_of_metadata(window, start))]
    several = len(heads) > 1
    parts = []
    for number, head in enumerate(heads):
        end = heads[number + 1] if several and number + 1 < len(heads) else window.size
        stop = start_of_end_tags(window, head, _start_of_front_tag(window, head, end))
        whole = not several and start == 0 and stop == window.size
        pieces = None if whole else (Span(head, stop),)
        parts.append(Part(pieces, None if whole else "flac", _length(window, head, stop)))
    return parts


def end_of_metadata(window: Window, head: int) -> int:
    """Where the frames begin: after pictures, whose bytes may look like anything."""
    offset = head + 4
    while offset < window.size:
        block = window.at(offset, 4)
        offset += 4 + int.from_bytes(block[1:], "big")
        if len(block) < 4 or block[0] & 0x80:
            break
    return min(offset, window.size)


def _heads(window: Window, offset: int) -> Iterator[int]:
    """Where further files begin."""
    while offset < window.size:
        data = window.at(offset, SCAN_BYTES)
        found = data.find(HEAD[:4])  # a longer pattern, with zeros, takes ten times as long in silence
        if found >= 0:
            info = window.at(offset + found + 8, 34) if window.at(offset + found, len(HEAD)) == HEAD else b""
            rate = int.from_bytes(info[10:13], "big") >> 4
            smallest, largest = int.from_bytes(info[:2], "big"), int.from_bytes(info[2:4], "big")
            if len(info) == 34 and rate and 16 <= smallest <= largest:
                yield offset + found
                offset = end_of_metadata(window, offset + found)
            else:
                offset += found + 1
        elif len(data) < len(HEAD):
            return
        else:
            offset += len(data) - len(HEAD) + 1


def _start_of_front_tag(window: Window, start: int, head: int) -> int:
    """Where the ID3v2 tag right before ``head`` begins; ``head`` if there is none."""
    back = min(head - start, SCAN_BYTES * 64)
    if head == window.size or back <= 0:
        return head
    place = head - back
    while place < head:
        data = window.at(place, SCAN_BYTES)[: head - place]
        for found in re.finditer(rb"ID3[\x02-\x04]", data):
            if place + found.start() + front_tag_size(window, place + found.start()) == head:
                return place + found.start()
        place += max(1, len(data) - 3)
        if len(data) < 4:
            break
    return head


def _length(window: Window, head: int, stop: int) -> Length | None:
    """The length by the last frame, and the length that STREAMINFO claims if the file is cut within a frame."""
    info = window.at(head + 8, 34)
    rate = int.from_bytes(info[10:13], "big") >> 4
    if len(info) < 34 or not rate:
        return None
    claimed = (info[13] & 15) << 32 | int.from_bytes(info[14:18], "big")
    block = int.from_bytes(info[2:4], "big")
    start = max(head + 42, stop - TAIL_BYTES)
    tail = window.at(start, stop - start)
    end = None
    is_whole = False
    # Sync code, reserved bit, blocking strategy.
    for found in reversed([match.start() for match in re.finditer(rb"\xff[\xf8\xf9]", tail)]):
        last = _frame_end(tail[found : found + 16], block)
        if last is None or (claimed and last > claimed + 65535 and claimed != 2**36 - 1):
            continue
        end = last
        is_whole = frame_crc(tail[found:]) == 0
        break
    if end is None:
        return Length(claimed / rate) if claimed else None
    if claimed <= end or is_whole:
        return Length(end / rate)
    return Length(end / rate, claimed / rate)


def _frame_end(head: bytes, block: int) -> int | None:
    """The position at the end of the frame with this header, in samples; None if it is not a header."""
    if len(head) < 6 or head[3] & 1 or head[2] >> 4 == 0 or head[2] & 15 == 15:
        return None
    lead = head[4]
    extra = 0
    while lead & 0x80 >> extra and extra < 8:
        extra += 1
    extra = max(0, extra - 1)
    number = lead if lead < 0x80 else lead & (0x3F >> extra)
    for byte in head[5 : 5 + extra]:
        if byte & 0xC0 != 0x80:
            return None
        number = number << 6 | byte & 0x3F
    at = 5 + extra
    code = head[2] >> 4
    if code == 6:
        samples, at = head[at] + 1 if at < len(head) else 0, at + 1
    elif code == 7:
        samples, at = int.from_bytes(head[at : at + 2], "big") + 1, at + 2
    else:
        samples = 192 if code == 1 else 576 << (code - 2) if code < 6 else 256 << (code - 8)
    at += {12: 1, 13: 2, 14: 2}.get(head[2] & 15, 0)
    if at >= len(head) or _crc8(head[:at]) != head[at]:
        return None
    return (number if head[1] & 1 else number * block) + samples


def _crc8(data: bytes) -> int:
    crc = 0
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = (crc << 1 ^ 0x07) & 0xFF if crc & 0x80 else crc << 1
    return crc


def frame_crc(data: bytes) -> int:
    """CRC-16 of a frame (polynomial 0x8005); 0 over a whole frame, its own checksum included."""
    crc = 0
    for byte in data:
        crc = (crc << 8) & 0xFFFF ^ _CRC16[crc >> 8 ^ byte]
    return crc


def _crc16_table() -> tuple[int, ...]:
    table = []
    for byte in range(256):
        crc = byte << 8
        for _ in range(8):
            crc = (crc << 1 ^ 0x8005) & 0xFFFF if crc & 0x8000 else crc << 1
        table.append(crc)
    return tuple(table)


_CRC16 = _crc16_table()
