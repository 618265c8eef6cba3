"""Tags before, between and after sound: ID3v2, ID3v1, APE, Lyrics3."""

from __future__ import annotations

from stemwright.audio.containers.pieces import Window

HEADS = (b"RIFF", b"RIFX", b"RF64", b"BW64", b"riff", b"FORM", b".snd", b"caff", b"OggS", b"fLaC")
OTHER_HEADS = (b"wvpk", b"TTA1", b"FLV\x01", b"\x1a\x45\xdf\xa3")
LYRICS_BYTES = 1 << 20  # Lyrics3v2 writes its size with six digits


def end_of_front_tags(window: Window, start: int) -> int:
    """Where the tags that begin at ``start`` end; ``start`` if there are none."""
    while (size := front_tag_size(window, start)) and start + size < window.size:
        start += size
    return start


def front_tag_size(window: Window, start: int) -> int:
    """The size in bytes of the tag at ``start``; 0 if there is none."""
    head = window.at(start, 32)
    if head[:3] == b"ID3" and len(head) >= 10 and 2 <= head[3] <= 4 and all(byte < 0x80 for byte in head[6:10]):
        size = 0
        for byte in head[6:10]:  # seven bits each
            size = size << 7 | byte
        return size + (20 if head[5] & 0x10 else 10)
    if head[:8] == b"APETAGEX" and len(head) == 32:
        is_header = int.from_bytes(head[20:24], "little") & 1 << 29
        # The size includes items and footer, but not the header. A footer alone ends here.
        return 32 + int.from_bytes(head[12:16], "little") if is_header else 32
    if head[:3] == b"TAG" and start + 128 <= window.size:
        # "TAG" may be sound by chance: an ID3v1 tag ends the file, or another file follows it.
        after = window.at(start + 128, 8)
        if len(after) < 4 or after[:3] in (b"ID3", b"APE", b"TAG") or after[:2] >= b"\xff\xe0":
            return 128
        if after[:4] in (*HEADS, *OTHER_HEADS) or after[4:] == b"ftyp":
            return 128
    if head[:11] == b"LYRICSBEGIN":
        text = window.at(start, LYRICS_BYTES)
        ends = [at + 9 for mark in (b"LYRICS200", b"LYRICSEND") if (at := text.find(mark)) > 0]
        return min(ends, default=0)
    return 0


def start_of_end_tags(window: Window, start: int, stop: int) -> int:
    """Where the tags that end at ``stop`` begin, but not before ``start``; ``stop`` if there are none."""
    while True:
        tail = window.at(stop - 128, 128) if stop - start >= 128 else b""
        foot = window.at(stop - 32, 32) if stop - start >= 32 else b""
        size = 0
        if tail[:3] == b"TAG":
            size = 128
        elif foot[:8] == b"APETAGEX":
            with_header = int.from_bytes(foot[20:24], "little") & 1 << 31
            size = int.from_bytes(foot[12:16], "little") + (32 if with_header else 0)
            size = max(size, 32)
        elif foot[-9:] == b"LYRICS200" and foot[-15:-9].isdigit():
            size = int(foot[-15:-9]) + 15
        elif foot[-10:-7] == b"3DI" and all(byte < 0x80 for byte in foot[-4:]):
            size = 20
            for place, byte in enumerate(foot[-4:]):
                size += byte << 7 * (3 - place)
        if not size or stop - size < start:
            return stop
        stop -= size
