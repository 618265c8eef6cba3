"""Where files that were joined, as ``cat`` does it, begin. Each is then read as a file of its own.

Files of one kind are left together where the module of that kind reads them: Ogg, FLAC, MPEG audio and ADTS.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Literal

from stemwright.audio.containers import adts, flac, mpeg
from stemwright.audio.containers.pieces import Span, Window
from stemwright.audio.containers.tag_frames import end_of_front_tags

W64_HEAD = b"riff\x2e\x91\xcf\x11"
ASF_HEAD = b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"
EBML_HEAD = b"\x1a\x45\xdf\xa3"
# Elements of Matroska that a recorder may write without a size: a segment, and a cluster in it.
EBML_OPEN = (b"\x18\x53\x80\x67", b"\x1f\x43\xb6\x75")
LARGEST_SIZE = 1 << 62
MOST_UNITS = 1_000_000  # that are looked at of one file: six hours of FLV
SEARCHED_BYTES = 1 << 18
# The first bytes of files, and of a tag before one, for FLAC, whose frames do not state their size.
MARKS = (b"RIFF", b"RF64", b"FORM", b"caff", b"OggS", b"ftyp", b"wvpk", EBML_HEAD, b"riff", b"ID3")
WAVPACK_INITIAL = 1 << 11  # the first block of a set that holds the channels of the same samples

RIFF_NAMES = (b"RIFF", b"RIFX", b"RF64", b"BW64")

Units = Callable[[Window, int], Iterator[int]]
"""Offsets where a file that begins at an offset may end, in rising order."""


def joined_files(window: Window) -> list[Span]:
    """The files one after another, at least one. An ID3v2 tag before a header belongs to its file, others do not."""
    starts = [_behind_end_tags(window, 0)]
    while (following := _following(window, starts[-1])) is not None:
        starts.append(following)
    return [Span(start, stop) for start, stop in zip(starts, [*starts[1:], window.size], strict=True)]


def _following(window: Window, start: int) -> int | None:
    """Where the file behind the one at ``start`` begins; None if there is none."""
    head_at = end_of_front_tags(window, start)
    units = _units(window.at(head_at, 16))
    if units is None:
        return None
    for offset in islice(units(window, head_at), MOST_UNITS):
        if offset >= window.size:
            return None
        if offset <= head_at:  # a file that is cut within its first header
            continue
        if not _is_same_kind(window, head_at, offset) and begins_file(window, end_of_front_tags(window, offset)):
            return _behind_end_tags(window, offset)
    return None


def _behind_end_tags(window: Window, offset: int) -> int:
    """Behind the tags at ``offset`` that end a file. FFmpeg does not expect them before an ID3v2 tag."""
    while window.at(offset, 3) != b"ID3" and (size := mpeg.tag_size(window, offset)):
        if offset + size >= window.size:
            break
        offset += size
    return offset


def _is_same_kind(window: Window, first: int, offset: int) -> bool:
    """Whether the file at ``offset`` is read together with the one at ``first``, by the module of their kind."""
    return window.at(first, 4) == window.at(end_of_front_tags(window, offset), 4) == b"fLaC"


def begins_file(window: Window, offset: int) -> bool:
    """Whether the first bytes of a sound file stand at ``offset``."""
    head = window.at(offset, 16)
    if head[:4] == b"wvpk":
        block = window.at(offset, 32)
        # The first block of a file is of its first samples: later ones are no file of their own.
        is_initial = int.from_bytes(block[24:28], "little") & WAVPACK_INITIAL
        return len(block) == 32 and not block[10] and block[16:20] == bytes(4) and bool(is_initial)
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return True
    if head[:4] in RIFF_NAMES:
        return head[8:12] == b"WAVE"
    if head[:4] == b"FORM":
        return head[8:12] in (b"AIFF", b"AIFC")
    if head[:4] == b"caff":
        return head[4:6] == b"\0\1"
    if head[:4] == b".snd":
        return 24 <= int.from_bytes(head[4:8], "big") < 1 << 20
    if head[4:8] == b"ftyp":
        return 8 <= int.from_bytes(head[:4], "big") < 1 << 20
    if head[:4] == b"OggS":
        return bool(head[5:6] and head[5] & 2)
    if head[:8] in (W64_HEAD, ASF_HEAD, flac.HEAD) or head[:4] in (b"TTA1", b"FLV\x01", EBML_HEAD):
        return True
    return mpeg.is_confirmed(window, offset) or adts.is_confirmed(window, offset, 3)


def _units(head: bytes) -> Units | None:
    if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        return _aiff
    if head[:4] == b"RIFF" and head[8:12] == b"AVI ":
        return _avi
    if head[:4] in RIFF_NAMES and head[8:12] == b"WAVE":
        return _wave
    if head[:2] == b"\x0b\x77" or head[:1] == b"\x47":  # AC-3 and transport streams: FFmpeg reads joined ones
        return None
    if head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):
        return _mp4
    if head[:8] in (W64_HEAD, ASF_HEAD):
        return _w64 if head[:8] == W64_HEAD else _asf
    named = {b".snd": _au, b"caff": _caf, b"wvpk": _wavpack, b"TTA1": _tta, b"FLV\x01": _flv, EBML_HEAD: _matroska}
    named |= {b"OggS": _ogg, b"fLaC": _flac}
    if head[:1] == b"\xff":
        return _adts if adts.read_frame(head) is not None else _mpeg
    return named.get(head[:4])


def _is_name(name: bytes) -> bool:
    """Whether these may be the four letters of a chunk; zeros that fill a file up are none."""
    return all(0x20 <= byte < 0x7F for byte in name)


def _aiff(window: Window, start: int) -> Iterator[int]:
    offset = start + 12
    while offset + 8 <= window.size and _is_name(window.at(offset, 4)):
        size = window.big(offset + 4, 4)
        offset += 8 + size
        yield offset
        if size % 2:  # some writers leave the byte out that fills the chunk up
            offset += 1
            yield offset


def _avi(window: Window, start: int) -> Iterator[int]:
    offset = start
    while window.at(offset, 4) == b"RIFF":  # a file of more than 1 GB has several
        size = window.little(offset + 4, 4)
        offset += 8 + size + size % 2
        yield offset


def _wave(window: Window, start: int) -> Iterator[int]:
    order: Literal["little", "big"] = "big" if window.at(start, 4) == b"RIFX" else "little"
    long_size = window.little(start + 28, 8) if window.at(start + 12, 4) == b"ds64" else None
    offset = start + 12
    while offset + 8 <= window.size and _is_name(window.at(offset, 4)):
        size = int.from_bytes(window.at(offset + 4, 4), order)
        if window.at(offset, 4) == b"data" and size == (1 << 32) - 1:
            if long_size is None or long_size >= LARGEST_SIZE:
                return
            size = long_size
        offset += 8 + size
        yield offset
        offset += size % 2
        if size % 2:
            yield offset


def _ogg(window: Window, start: int) -> Iterator[int]:
    offset = start
    while window.at(offset, 4) == b"OggS" and offset + 27 <= window.size:
        table = window.at(offset + 27, window.at(offset + 26, 1)[0])
        offset += 27 + len(table) + sum(table)
    yield offset


def _mpeg(window: Window, start: int) -> Iterator[int]:
    if mpeg.is_confirmed(window, start):
        yield mpeg.frames_end(window, start)


def _adts(window: Window, start: int) -> Iterator[int]:
    if adts.is_confirmed(window, start, 3):
        yield adts.frames_end(window, start)


def _flac(window: Window, start: int) -> Iterator[int]:
    offset = flac.end_of_metadata(window, start)
    while offset < window.size:
        data = window.at(offset, SEARCHED_BYTES)
        found = []
        for mark in MARKS:
            at = data.find(mark)
            while at >= 0:
                found.append(offset + at - (4 if mark == b"ftyp" else 0))
                at = data.find(mark, at + 1)
        yield from sorted(found)
        if len(data) < SEARCHED_BYTES:
            return
        offset += len(data) - 16  # a mark may cross the end of the buffer


def _au(window: Window, start: int) -> Iterator[int]:
    size = window.big(start + 8, 4)
    if size:
        yield start + window.big(start + 4, 4) + size


def _caf(window: Window, start: int) -> Iterator[int]:
    offset = start + 8
    while offset + 12 <= window.size and _is_name(window.at(offset, 4)):
        size = window.big(offset + 4, 8)
        if size >= LARGEST_SIZE:
            return
        offset += 12 + size
        yield offset


def _w64(window: Window, start: int) -> Iterator[int]:
    offset = start + 40
    while offset + 24 <= window.size and 24 <= (size := window.little(offset + 16, 8)) < LARGEST_SIZE:
        yield offset + size
        offset += -(-size // 8) * 8
        yield offset


def _mp4(window: Window, start: int) -> Iterator[int]:
    offset = start
    while offset + 8 <= window.size:
        size, least = window.big(offset, 4), 8
        if size == 1:
            size, least = window.big(offset + 8, 8), 16
        if size < least:  # 0: up to the end of the file
            return
        offset += size
        yield offset


def _asf(window: Window, start: int) -> Iterator[int]:
    offset = start
    while offset + 24 <= window.size and (size := window.little(offset + 16, 8)) >= 24:
        offset += size
        yield offset


def _flv(window: Window, start: int) -> Iterator[int]:
    offset = start + window.big(start + 5, 4) + 4
    while offset + 11 <= window.size and window.at(offset, 1)[0] & 0x1F in (8, 9, 18):
        offset += 11 + window.big(offset + 1, 3) + 4
        yield offset


def _wavpack(window: Window, start: int) -> Iterator[int]:
    offset = start
    while window.at(offset, 4) == b"wvpk" and (size := window.little(offset + 4, 4)) >= 24:
        offset += 8 + size
        yield offset


def _tta(window: Window, start: int) -> Iterator[int]:
    rate, samples = window.little(start + 10, 4), window.little(start + 14, 4)
    frame = 256 * rate // 245
    n_frames = -(-samples // frame) if frame else 0
    table = start + 22
    if not n_frames or table + 4 * n_frames > window.size:
        return
    offset = table + 4 * n_frames + 4
    for number in range(n_frames):
        offset += window.little(table + 4 * number, 4)
    yield offset


def _matroska(window: Window, start: int) -> Iterator[int]:
    offset = start
    while offset + 2 <= window.size:
        first = window.at(offset, 1)[0]
        name_size = 9 - first.bit_length()
        name = window.at(offset, name_size)
        lead = window.at(offset + name_size, 1)
        if name_size > 4 or not lead or not lead[0]:
            return
        width = 9 - lead[0].bit_length()
        size = window.big(offset + name_size, width) & (1 << 7 * width) - 1
        offset += name_size + width
        if size == (1 << 7 * width) - 1:
            if name not in EBML_OPEN:
                return
            continue
        offset += size
        yield offset
