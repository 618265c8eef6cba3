"""Headers of Apple's Core Audio Format: unknown sizes, and the packet table, which states the padding."""

from __future__ import annotations

import struct

from stemwright.audio.containers.part import Keep, Length, Part
from stemwright.audio.containers.pieces import Span, Window
from stemwright.audio.containers.wave import LEFT_OUT, LEFT_OUT_S

OPEN = (1 << 64) - 1  # a size of -1: the sound continues to the end of the file
LARGEST_HELD = 1 << 62
MOST_PADDING = 16384  # samples at the start: Apple's AAC has 2112, HE-AAC twice that
PADDED_PACKETS = 4  # the padding at the end is less than this


def caf_parts(window: Window, start: int) -> list[Part]:
    """The one stream of a CAF file."""
    as_it_is = [Part((Span(start, window.size),) if start else None)]
    described: bytes | None = None
    table_at = data_at = None
    data_size = table_size = 0
    offset = start + 8
    while offset + 12 <= window.size:
        name, size = window.at(offset, 4), window.big(offset + 4, 8)
        if name == b"desc":
            described = window.at(offset + 12, 32)
        elif name == b"pakt" and size >= 24:
            table_at, table_size = offset + 12, size
        elif name == b"data":
            data_at, data_size = offset + 16, size  # after a count of edits
        if size >= LARGEST_HELD:
            break
        offset += 12 + size
    if described is None or len(described) < 32 or data_at is None:
        return as_it_is
    (rate,) = struct.unpack(">d", described[:8])
    packet_bytes, packet_samples = (int.from_bytes(described[at : at + 4], "big") for at in (16, 20))
    if not 1 <= rate < 1 << 31:
        return as_it_is
    pieces = as_it_is[0].pieces
    left = max(0, window.size - data_at)
    is_open = data_size >= LARGEST_HELD or data_size == 0
    if packet_bytes and packet_samples:
        held = (left if is_open else min(max(0, data_size - 4), left)) // packet_bytes * packet_samples
        is_cut = not is_open and data_size - 4 > left
        claimed = (data_size - 4) // packet_bytes * packet_samples if is_cut else 0
        behind = data_at + max(0, data_size - 4)
        behind_s = max(0, window.size - behind) // packet_bytes * packet_samples / rate
        is_chunk = window.at(behind, 4).isalnum() or is_open or data_size <= 4
        notes = () if is_chunk or behind_s <= LEFT_OUT_S else (LEFT_OUT.format(behind_s),)
        return [Part(pieces, length=Length(held / rate, claimed / rate if is_cut else None), notes=notes)]
    if table_at is None or not packet_samples:
        return as_it_is
    packets, valid = window.big(table_at, 8), window.big(table_at + 8, 8)
    priming, remainder = window.big(table_at + 16, 4), window.big(table_at + 20, 4)
    # The size of each packet takes one byte or more, so a table cannot describe more packets than it has bytes.
    whole = min(packets, table_size - 24) * packet_samples
    is_cut = not is_open and data_size - 4 > left
    claimed = valid if 0 < valid <= whole else whole
    held = claimed * left // max(1, data_size - 4) if is_cut else claimed
    length = Length(held / rate, claimed / rate if is_cut else None)
    padding = whole - valid - priming
    fits = valid > 0 and 0 <= priming <= MOST_PADDING and 0 <= padding < PADDED_PACKETS * packet_samples
    # FFmpeg refuses some valid tables, and trims a short last packet of ALAC twice: it gets a table without padding.
    none = whole.to_bytes(8, "big") + bytes(8)
    unpadded = (Span(start, table_at + 8), none, Span(table_at + 24, window.size))
    if fits:
        return [Part(unpadded, "caf", length, Keep(priming, priming + valid, round(rate)))]
    note = "The packet table of the CAF file contradicts its packets: it was ignored, all was kept."
    has_padding = valid > 0 or priming > 0 or remainder > 0
    return [Part(unpadded, "caf", length, Keep(0, None, round(rate)), notes=(note,) if has_padding else ())]
