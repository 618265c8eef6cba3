"""The pages of an Ogg file, and its chained streams (RFC 3533)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass, field

from stemwright.audio.containers.part import Keep, Length, Part
from stemwright.audio.containers.pieces import Span, Window

HEADER_BYTES = 27
CONTINUED, FIRST, LAST = 1, 2, 4
NO_GRANULE = 2**64 - 1
LONGEST_USUAL_SKIP = 9600  # samples; encoders write 312, tools that cut write 3840
MOST_LOST_PAGES = 16  # counted as packets where page numbers jump
BITS_REVERSED = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
# The most samples in a packet, to check the positions that a file claims.
LARGEST_PACKET = {"vorbis": 8192, "opus": 5760, "flac": 65535}


@dataclass
class _Stream:
    codec: str
    rate: int
    pre_skip: int = 0
    packets: int = 0
    first_granule: int | None = None
    before_last: int = 0
    last_granule: int = 0
    last_page: tuple[int, bytes, int] = (0, b"", 0)
    """Where its body begins, its segment table, and its granule position."""
    next_page: int | None = None
    """The number that the next page should have."""
    is_damaged: bool = False
    """Whether pages are missing or have a wrong checksum, so that FFmpeg drops them."""
    ends_damaged: bool = False

    @property
    def length_s(self) -> float | None:
        if self.codec not in LARGEST_PACKET or not self.rate:
            return None
        most = self.packets * LARGEST_PACKET[self.codec]
        first = self.first_granule or 0
        granule = self.last_granule
        # A recording of a broadcast may begin at any position.
        if first > most:
            granule -= first
        return max(0, min(granule - self.pre_skip, most)) / self.rate


@dataclass
class _Link:
    start: int
    streams: dict[int, _Stream] = field(default_factory=dict)
    in_headers: bool = True


def chained_parts(window: Window, start: int) -> list[Part]:
    """The links of a chain, each with its length by the positions of its pages.

    A link begins at a first page (of a stream) that does not follow another one. Bytes outside pages are skipped; a
    file without pages has no links.
    """
    links: list[_Link] = []
    offset = start
    skipped = 0
    while offset < window.size:
        head = window.at(offset, HEADER_BYTES)
        if head[:4] != b"OggS" or len(head) < HEADER_BYTES or head[4] != 0:
            following = _next_page(window, offset + 1)
            skipped += following - offset
            offset = following
            continue
        table = window.at(offset + HEADER_BYTES, head[26])
        body = offset + HEADER_BYTES + head[26]
        serial = int.from_bytes(head[14:18], "little")
        if head[5] & FIRST:
            if not links or not links[-1].in_headers:
                links.append(_Link(offset))
            links[-1].streams[serial] = _first_packet(window.at(body, sum(table)))
        elif links:
            links[-1].in_headers = False
            if stream := links[-1].streams.get(serial):
                is_whole = page_checksum(window.at(offset, body - offset + sum(table))) == head[22:26]
                _count(stream, body, table, head, skipped if is_whole else None)
                skipped = 0
        offset = body + sum(table)
        if offset < window.size and window.at(offset, 4) != b"OggS":
            following = _next_page(window, body)  # the page is cut off: the next one begins within its claimed size
            skipped += max(0, following - offset)
            offset = following
    if not links:
        return []
    ends = [link.start for link in links[1:]] + [window.size]
    several = len(links) > 1 or start > 0
    parts = []
    for link, stop in zip(links, ends, strict=True):
        sounds = [stream for stream in link.streams.values() if stream.codec]
        keep: Keep | None = None
        notes: tuple[str, ...] = ()
        if sounds and sounds[0].codec == "opus":
            keep, notes = _judged_trimming(window, sounds[0])
        elif sounds and sounds[0].codec == "vorbis" and _ends_without_position(sounds[0]):
            keep = Keep(0, None, sounds[0].rate)
            notes = ("The last page of the Vorbis stream has no position, so its end is not trimmed: all was kept.",)
        if sounds and sounds[0].ends_damaged:
            notes = (*notes, "The last page of the Ogg stream is damaged: its sound, a second at most, is missing.")
        length = sounds[0].length_s if sounds else None
        parts.append(
            Part(
                pieces=(Span(link.start, stop),) if several else None,
                demuxer="ogg" if several else None,
                length=None if length is None else Length(length),
                keep=keep,
                has_gaps=bool(sounds) and sounds[0].is_damaged,
                notes=notes,
            )
        )
    return parts


def _judged_trimming(window: Window, stream: _Stream) -> tuple[Keep | None, tuple[str, ...]]:
    """Check what Opus trims: the pre-skip at the start, and at the end what is after the last page's position.

    Returns None, and notes, if FFmpeg's own trimming is right.
    """
    notes: tuple[str, ...] = ()
    if stream.pre_skip > LONGEST_USUAL_SKIP:
        notes = (
            f"The header of the Opus stream leaves out its first {stream.pre_skip / 48000:.1f} s: it was followed.",
        )
    body, table, granule = stream.last_page
    if not table:
        return None, notes
    place, size, samples = body, 0, 0
    for lacing in table:
        size += lacing
        if lacing < 255:
            samples += _opus_samples(window.at(place, 2)) if size else 0
            place, size = place + size, 0
    end = stream.before_last + samples
    if granule == NO_GRANULE and samples:
        note = "The last page of the Opus stream has no position: its sound, less than a second, may be missing."
        return Keep(stream.pre_skip, None, 48000), (*notes, note)
    if granule >= end - LARGEST_PACKET["opus"]:
        return None, notes
    stream.last_granule = end
    notes = (*notes, "The position of the last page of the Opus stream contradicts its packets: all was kept.")
    return Keep(stream.pre_skip, None, 48000), notes


def _ends_without_position(stream: _Stream) -> bool:
    """Whether packets end on a last page without position, so that the end of the sound is unknown."""
    _, table, granule = stream.last_page
    return bool(stream.rate) and granule in (0, NO_GRANULE) and any(lacing < 255 for lacing in table)


def _opus_samples(head: bytes) -> int:
    """The length of a packet at 48 kHz, by its first two bytes (RFC 6716, section 3.1)."""
    if not head:
        return 0
    config = head[0] >> 3
    if config < 12:
        frame = (480, 960, 1920, 2880)[config & 3]
    elif config < 16:
        frame = (480, 960)[config & 1]
    else:
        frame = (120, 240, 480, 960)[config & 3]
    frames = (1, 2, 2)[head[0] & 3] if head[0] & 3 < 3 else (head[1] & 63 if len(head) > 1 else 0)
    return min(frame * frames, LARGEST_PACKET["opus"])


def _next_page(window: Window, offset: int) -> int:
    while offset < window.size:
        data = window.at(offset, 1 << 16)
        found = data.find(b"OggS")
        if found >= 0:
            return offset + found
        offset += max(1, len(data) - 3)
        if len(data) < 4:
            break
    return window.size


def _first_packet(packet: bytes) -> _Stream:
    if packet[:7] == b"\x01vorbis":
        return _Stream("vorbis", int.from_bytes(packet[12:16], "little"))
    if packet[:8] == b"OpusHead":
        return _Stream("opus", 48000, pre_skip=int.from_bytes(packet[10:12], "little"))
    if packet[:5] == b"\x7fFLAC":  # 13 bytes, the 4 bytes of a block header, then STREAMINFO, with the rate at 10
        return _Stream("flac", int.from_bytes(packet[27:30], "big") >> 4)
    if packet[:8] == b"Speex   ":
        return _Stream("speex", int.from_bytes(packet[36:40], "little"))
    return _Stream("", 0)


def _count(stream: _Stream, body: int, table: bytes, head: bytes, skipped: int | None) -> None:
    """Count a page. ``skipped`` bytes before it are not part of a page; None if the page has a wrong checksum."""
    stream.packets += len(table) - table.count(255)
    stream.ends_damaged = skipped is None
    if skipped is None:
        stream.is_damaged = True
        return
    number = int.from_bytes(head[18:22], "little")
    if stream.next_page is not None and number != stream.next_page:
        stream.is_damaged = True
        lost_pages = min((number - stream.next_page) & 0xFFFFFFFF, MOST_LOST_PAGES)
        stream.packets += skipped or 255 * lost_pages  # a packet has at least 1 byte, a page at most 255 packets
    stream.next_page = (number + 1) & 0xFFFFFFFF
    granule = int.from_bytes(head[6:14], "little")
    stream.before_last = stream.last_granule
    stream.last_page = (body, table, granule)
    if granule not in (0, NO_GRANULE):
        if stream.first_granule is None:
            stream.first_granule = granule
        stream.last_granule = granule


def page_checksum(page: bytes) -> bytes:
    """The checksum that a page should have: CRC-32 of polynomial 0x04c11db7, from the highest bit down, from 0.

    zlib begins at the lowest bit, so the bits of all bytes and of the result are reversed. A loop in Python would be
    too slow for whole files.
    """
    turned = (page[:22] + bytes(4) + page[26:]).translate(BITS_REVERSED)
    checksum = zlib.crc32(turned, 0xFFFFFFFF) ^ 0xFFFFFFFF
    return checksum.to_bytes(4, "big").translate(BITS_REVERSED)
