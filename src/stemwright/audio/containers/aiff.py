"""Headers of AIFF, AIFF-C and AU, complete or as written to a pipe."""

from __future__ import annotations

from stemwright.audio.containers.part import Keep, Length, Part
from stemwright.audio.containers.pieces import Span, Window
from stemwright.audio.containers.wave import (
    SIGNED_END,
    SIGNED_SLACK,
    UNSIGNED_END,
    UNSIGNED_SLACK,
    chunks_follow,
    left_out_note,
)

SAMPLE_BYTES = {b"ulaw": 1, b"ULAW": 1, b"alaw": 1, b"ALAW": 1, b"fl32": 4, b"FL32": 4, b"fl64": 8, b"FL64": 8}
PLAIN = (b"NONE", b"none", b"twos", b"sowt", b"in24", b"42ni", b"in32", b"23ni", b"raw ")
SOX_SIZE, SOX_SLACK = 0x7F000000, 1 << 12  # the placeholder of sox in an AIFF
AU_BYTES = {1: 1, 2: 1, 3: 2, 4: 3, 5: 4, 6: 4, 7: 8, 27: 1}


def aiff_parts(window: Window, start: int) -> list[Part]:
    """The one stream of an AIFF or AIFF-C that begins at ``start``."""
    as_it_is = [Part((Span(start, window.size),) if start else None)]
    is_aifc = window.at(start + 8, 4) == b"AIFC"
    common_at = data_at = None
    offset = start + 12
    size = 0
    while offset + 8 <= window.size:
        name, size = window.at(offset, 4), window.big(offset + 4, 4)
        if name == b"COMM" and size >= 18:
            common_at = offset + 8
        elif name == b"SSND":
            data_at = offset + 16  # after the chunk's own offset and block size
            if common_at is not None or _is_open(size, window.size - offset - 8):
                break
        offset += 8 + size + size % 2
    if common_at is None or data_at is None:
        return as_it_is
    size = window.big(data_at - 12, 4)
    channels, frames, bits = window.big(common_at, 2), window.big(common_at + 2, 4), window.big(common_at + 6, 2)
    rate = _extended(window.at(common_at + 8, 10))
    kind = window.at(common_at + 18, 4) if is_aifc else b"NONE"
    # A packet is one sample of each channel. In IMA ADPCM it has 64, and the header counts packets.
    packet, samples = channels * (SAMPLE_BYTES.get(kind) or (bits + 7 >> 3 if kind in PLAIN else 0)), 1
    if kind == b"ima4":
        packet, samples = 34 * channels, 64
    if not packet or not rate:
        return as_it_is
    left = max(0, window.size - data_at)
    claimed_bytes = max(0, size - 8)
    is_open = _is_open(size, left + 8)
    if claimed_bytes == 0 < left:
        is_open = frames != 0 or not chunks_follow(window, data_at, window.size, "big")
    by_frames = frames * packet
    is_short = claimed_bytes < by_frames <= left  # the count of frames fits the bytes: the size of the chunk is wrong
    if is_short:
        claimed_bytes = by_frames
    held_bytes = left if is_open and not is_short else min(claimed_bytes, left)
    is_open = is_open or is_short
    held = held_bytes // packet
    claimed_s = None
    if not is_open and claimed_bytes > left:
        claimed = claimed_bytes // packet
        claimed_s = (min(frames, claimed) if frames else claimed) * samples / rate
    length = Length(held * samples / rate, claimed_s)
    behind = data_at + held_bytes + held_bytes % 2
    notes = left_out_note(window, behind, (window.size - behind) // packet * samples, rate, "big")
    # FFmpeg refuses a file for a count of frames that has more than 31 bits.
    if not is_open and (0 < frames < SIGNED_END or not held) and not start:
        # FFmpeg decodes the padding byte of an odd chunk as sound.
        keep = Keep(0, frames if held - frames == 1 else held, rate) if packet == 1 else None
        return [Part(length=length, keep=keep, notes=notes)]
    head = bytearray(window.at(start, data_at - start))
    if common_at > data_at:
        return as_it_is
    head[4:8] = min(len(head) + held_bytes - 8, UNSIGNED_END - 1).to_bytes(4, "big")
    at = common_at + 2 - start
    head[at : at + 4] = min(held, UNSIGNED_END - 1).to_bytes(4, "big")
    at = data_at - 12 - start
    head[at : at + 4] = min(held_bytes + 8, SIGNED_END - 1).to_bytes(4, "big")
    return [Part((bytes(head), Span(data_at, data_at + held_bytes)), "aiff", length, notes=notes)]


def au_parts(window: Window, start: int) -> list[Part]:
    """The one stream of an AU file. A size of 0xffffffff in its header means unknown."""
    as_it_is = [Part((Span(start, window.size),) if start else None)]
    data_at = start + window.big(start + 4, 4)
    size, coding, rate, channels = (window.big(start + at, 4) for at in (8, 12, 16, 20))
    frame = AU_BYTES.get(coding, 0) * channels
    if not frame or not rate or data_at >= window.size:
        return as_it_is
    left = window.size - data_at
    is_open = size == 0 or _is_open(size, left)
    held_bytes = left if is_open else min(size, left)
    held = held_bytes // frame
    length = Length(held / rate, None if is_open or size <= left else size // frame / rate)
    if not is_open and held_bytes < left:  # FFmpeg would decode what follows
        notes = left_out_note(window, data_at + held_bytes, (left - held_bytes) // frame, rate, "big")
        return [Part((Span(start, data_at + held_bytes),), "au", length, notes=notes)]
    if not is_open and not start:
        return [Part(length=length)]
    head = bytearray(window.at(start, data_at - start))
    head[8:12] = (UNSIGNED_END - 1).to_bytes(4, "big")
    return [Part((bytes(head), Span(data_at, window.size)), "au", length)]


def _is_open(size: int, left: int) -> bool:
    """Whether the size is the placeholder of a file written to a pipe: larger than the rest of the file."""
    if size <= left:
        return False
    near = abs(size - SIGNED_END) <= SIGNED_SLACK or abs(size - SOX_SIZE) <= SOX_SLACK
    return near or size >= UNSIGNED_END - UNSIGNED_SLACK


def _extended(number: bytes) -> int:
    """A rate in whole Hz from an 80-bit float; 0 if it is not a possible rate."""
    exponent = (int.from_bytes(number[:2], "big") & 0x7FFF) - 16383 - 63
    mantissa = int.from_bytes(number[2:], "big")
    return mantissa >> -exponent if -63 <= exponent <= 0 else 0
