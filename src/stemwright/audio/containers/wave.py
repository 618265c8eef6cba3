"""Headers of WAV, RF64, BW64 and Wave64, complete or as written to a pipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from stemwright.audio.containers import mpeg
from stemwright.audio.containers.part import Keep, Length, Part
from stemwright.audio.containers.pieces import Span, Window

PCM, FLOAT, A_LAW, MU_LAW, EXTENSIBLE = 1, 3, 6, 7, 0xFFFE
MS_ADPCM, IMA_ADPCM, MPEG, MP3 = 2, 0x11, 0x50, 0x55
# A program that writes to a pipe cannot correct the header. Placeholders are near these: sox 0x7ffff000, arecord
# 0x80000000, FFmpeg 0xffffffff.
SIGNED_END, SIGNED_SLACK = 1 << 31, 1 << 20
UNSIGNED_END, UNSIGNED_SLACK = 1 << 32, 1 << 24
LARGEST_HELD = 1 << 62  # of a 64-bit size; larger ones are placeholders
LEFT_OUT_S = 0.1
LEFT_OUT = "Behind the sound that the header counts, {:.1f} s of data were left out."
W64_HEAD = b"riff\x2e\x91\xcf\x11"  # the first bytes of a GUID
W64_CHUNK = 24  # GUID and size; the size includes both

Order = Literal["little", "big"]


@dataclass(frozen=True)
class _Format:
    tag: int
    channels: int
    rate: int
    byte_rate: int
    block_bytes: int
    bits: int
    block_samples: int

    @property
    def is_plain(self) -> bool:
        """Whether every sample has a fixed number of bytes."""
        return self.tag in (PCM, FLOAT, A_LAW, MU_LAW)

    def samples(self, n_bytes: int) -> int | None:
        """The number of samples in ``n_bytes``; None if the header does not say enough."""
        if self.is_plain:
            # FFmpeg uses the bits of a sample, so a wrong block size does not matter.
            frame = self.channels * (self.bits + 7 >> 3) or self.block_bytes
            return n_bytes // frame if frame else None
        if self.tag in (MS_ADPCM, IMA_ADPCM) and self.block_bytes and self.block_samples:
            return -(-n_bytes // self.block_bytes) * self.block_samples
        return n_bytes * self.rate // self.byte_rate if self.byte_rate else None


@dataclass
class _Header:
    """The chunks that were found; offsets count from the start of the file."""

    order: Order
    is_w64: bool = False
    format: _Format | None = None
    fact: int | None = None
    ds64_at: int | None = None
    data_at: int | None = None
    size: int = 0
    size_at: int = 0


def wave_parts(window: Window, start: int) -> list[Part]:
    """The stream of the WAV, RF64 or Wave64 at ``start``, and those of the files joined to it."""
    parts: list[Part] = []
    following: int | None = start
    while following is not None:
        own, following = _one_file(window, following)
        parts += own
    return parts


def _one_file(window: Window, start: int) -> tuple[list[Part], int | None]:
    """The parts of the file at ``start``, and where another file begins, or None."""
    header = _walk_w64(window, start) if window.at(start, 8) == W64_HEAD else _walk_riff(window, start)
    fmt, data_at = header.format, header.data_at
    as_it_is = Part((Span(start, window.size),) if start else None)
    if fmt is None or data_at is None or not fmt.channels or not fmt.rate:
        return [as_it_is], None
    left = window.size - data_at
    is_open = _is_open(header, window)
    held_bytes = left if is_open else min(header.size, left)
    if fmt.tag in (MP3, MPEG):
        return _mpeg_parts(window, data_at, data_at + held_bytes) or [as_it_is], None
    held = fmt.samples(held_bytes)
    if held is None:
        return [as_it_is], None
    keep = None
    claimed_s = None
    if not is_open and header.size > left:
        claimed_s = (fmt.samples(header.size) or 0) / fmt.rate
    elif header.fact and fmt.block_samples and held - fmt.block_samples < header.fact < held:
        # The last block of ADPCM is padded: the sound ends before it does.
        held, keep = header.fact, Keep(0, header.fact, fmt.rate)
    length = Length(held / fmt.rate, claimed_s)
    if not header.size and not is_open:
        return [Part((Span(start, data_at),), length=length)], None  # FFmpeg would decode what follows
    following: int | None = None
    notes: tuple[str, ...] = ()
    if header.is_w64 and held_bytes < left:
        behind = data_at + -(-held_bytes // 8) * 8
        notes = left_out_note(window, behind, fmt.samples(max(0, window.size - behind)), fmt.rate, is_w64=True)
    elif held_bytes < left:
        behind = data_at + held_bytes + held_bytes % 2
        following = _joined_file(window, behind, header.order)
        if following is None and (n_more := _more_data(window, behind, header.order)):
            more_s = (fmt.samples(n_more) or 0) / fmt.rate
            notes = (f"The file has more than one data chunk: {more_s:.1f} s in the others were left out.",)
        elif following is None:
            notes = left_out_note(window, behind, fmt.samples(max(0, window.size - behind)), fmt.rate, header.order)
    if not is_open and not start:
        return [Part(length=length, keep=keep, notes=notes)], following
    head = _with_sizes(window.at(start, data_at - start), header, start, held_bytes)
    pieces = (head, Span(data_at, data_at + held_bytes))
    return [Part(pieces, "w64" if header.is_w64 else "wav", length, keep, notes=notes)], following


def _joined_file(window: Window, offset: int, order: Order) -> int | None:
    """Where another file begins, after the chunks that may follow the sound at ``offset``; None if there is none."""
    while offset + 12 <= window.size:
        name = window.at(offset, 12)
        if name[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and name[8:] == b"WAVE":
            return offset
        if not all(0x20 <= byte < 0x7F for byte in name[:4]):
            return None
        size = int.from_bytes(name[4:8], order)
        offset += 8 + size + size % 2
    return None


def left_out_note(
    window: Window, behind: int, samples: int | None, rate: float, order: Order = "little", *, is_w64: bool = False
) -> tuple[str, ...]:
    """A note if the bytes from ``behind`` on, of so many ``samples``, are no chunks, so that they may be sound."""
    left_s = (samples or 0) / rate
    if left_s <= LEFT_OUT_S or chunks_follow(window, behind, window.size, order, is_w64):
        return ()
    return (LEFT_OUT.format(left_s),)


def _more_data(window: Window, offset: int, order: Order) -> int:
    """The bytes of further ``data`` chunks from ``offset`` on. A WAV may have one, and players play the first."""
    n_bytes = 0
    while offset + 8 <= window.size:
        size = int.from_bytes(window.at(offset + 4, 4), order)
        if window.at(offset, 4) == b"data":
            n_bytes += min(size, window.size - offset - 8)
        offset += 8 + size + size % 2
    return n_bytes


def _mpeg_parts(window: Window, start: int, stop: int) -> list[Part]:
    """MP3 in RIFF is read like a bare MP3, info frame included."""
    parts = mpeg.joined_parts(window, start, stop)
    if len(parts) == 1 and parts[0].pieces is None:
        return [Part((Span(start, stop),), "mp3", parts[0].length)]
    return parts


def _walk_riff(window: Window, start: int) -> _Header:
    name = window.at(start, 4)
    header = _Header("big" if name == b"RIFX" else "little")
    order = header.order
    ds64_size = 0
    offset = start + 12
    while offset + 8 <= window.size:
        chunk = window.at(offset, 4)
        size = int.from_bytes(window.at(offset + 4, 4), order)
        body = offset + 8
        if chunk == b"ds64" and size >= 16:
            header.ds64_at = body
            ds64_size = window.little(body + 8, 8)
        elif chunk == b"fmt " and size >= 14 and header.format is None:
            header.format = _read_format(window.at(body, min(size, 40)), order)
        elif chunk == b"fact" and size >= 4:
            header.fact = int.from_bytes(window.at(body, 4), order)
        elif chunk == b"data":
            header.data_at, header.size_at = body, offset + 4
            header.size = ds64_size if header.ds64_at is not None and size == UNSIGNED_END - 1 else size
            break
        offset = body + size + size % 2
    return header


def _walk_w64(window: Window, start: int) -> _Header:
    header = _Header("little", is_w64=True)
    offset = start + 40
    while offset + W64_CHUNK <= window.size:
        chunk = window.at(offset, 4)
        size = window.little(offset + 16, 8)
        body = offset + W64_CHUNK
        if chunk == b"fmt ":
            header.format = _read_format(window.at(body, min(max(0, size - W64_CHUNK), 40)), "little")
        elif chunk == b"fact":
            header.fact = window.little(body, 8)
        elif chunk == b"data":
            header.data_at, header.size_at = body, offset + 16
            header.size = max(0, size - W64_CHUNK)
            break
        if size < W64_CHUNK:
            break
        offset += -(-size // 8) * 8
    return header


def _read_format(body: bytes, order: Order) -> _Format | None:
    if len(body) < 14:
        return None

    def number(at: int, count: int) -> int:
        return int.from_bytes(body[at : at + count], order)

    tag, bits = number(0, 2), number(14, 2)
    block_samples = number(18, 2) if tag in (MS_ADPCM, IMA_ADPCM) and len(body) >= 20 else 0
    if tag == EXTENSIBLE and len(body) >= 26:
        tag = number(24, 2)
    if tag in (A_LAW, MU_LAW):
        bits = 8
    return _Format(tag, number(2, 2), number(4, 4), number(8, 4), number(12, 2), bits, block_samples)


def _is_open(header: _Header, window: Window) -> bool:
    """Whether the size of the sound is a placeholder, so that it continues to the end of the file."""
    assert header.data_at is not None
    size, left = header.size, window.size - header.data_at
    if size == 0:
        return left > 0 and not chunks_follow(window, header.data_at, window.size, header.order, header.is_w64)
    if size <= left:
        # More than 4 GB, with a size that overflowed 32 bits.
        more = left - size
        return header.ds64_at is None and not header.is_w64 and more >= UNSIGNED_END and more % UNSIGNED_END < 1 << 16
    if header.is_w64 or header.ds64_at is not None:
        return size >= LARGEST_HELD - W64_CHUNK
    return abs(size - SIGNED_END) <= SIGNED_SLACK or size >= UNSIGNED_END - UNSIGNED_SLACK


def chunks_follow(window: Window, offset: int, stop: int, order: Order, is_w64: bool = False) -> bool:
    """Whether the bytes from ``offset`` on are chunks, and not sound."""
    while offset + 8 <= stop:
        name = window.at(offset, 4)
        if not all(0x20 <= byte < 0x7F for byte in name):
            return False
        if is_w64:
            offset += -(-max(W64_CHUNK, window.little(offset + 16, 8)) // 8) * 8
        else:
            size = int.from_bytes(window.at(offset + 4, 4), order)
            offset += 8 + size + size % 2
    return offset <= stop + 1


def _with_sizes(head: bytes, header: _Header, start: int, held: int) -> bytes:
    """The header with the true sizes."""
    patched = bytearray(head)

    def put(at: int, value: int, count: int) -> None:
        patched[at - start : at - start + count] = value.to_bytes(count, header.order)

    if header.is_w64:
        put(start + 16, len(head) + held, 8)
        put(header.size_at, held + W64_CHUNK, 8)
    elif header.ds64_at is not None:
        put(header.ds64_at, len(head) + held - 8, 8)
        put(header.ds64_at + 8, held, 8)
        put(header.size_at, UNSIGNED_END - 1, 4)
    else:  # with the largest size FFmpeg reads to the end of the file
        put(start + 4, min(len(head) + held - 8, UNSIGNED_END - 1), 4)
        put(header.size_at, min(held, UNSIGNED_END - 1), 4)
    return bytes(patched)
