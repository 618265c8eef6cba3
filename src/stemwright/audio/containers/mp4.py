"""Padding in MP4 and QuickTime: edit lists and iTunes' tag, compared with the sample table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise

from stemwright.audio.containers.part import Keep, Length, Part
from stemwright.audio.containers.pieces import Span, Window

LOSSLESS = {b"alac", b"fLaC", b"sowt", b"twos", b"lpcm", b"ipcm", b"fpcm", b"in24", b"in32", b"fl32", b"fl64", b"raw "}
PADDED_PACKETS = 3  # that an encoder adds at a start or an end, at most
MOST_EDITS = 10_000
MOST_DURATIONS = 1_000_000
MOST_TAG_BYTES = 1 << 16
# Edit lists count in the file's own unit, often 1/1000 s, and are rounded to it.
ROUNDING = 2
AAC_BLOCK = 1024
AAC_BLOCKS = (480, 512, 960)  # of other kinds of AAC, and where the header has half the rate; HE-AAC has 2048
LEAST_BYTES_PER_S = 5.0  # reached by lossless codecs in silence only


@dataclass(frozen=True)
class _Edit:
    length: int
    """In units of the movie's timescale; 0 means up to the end."""
    begin: int
    """In units of the track's; negative for silence."""


@dataclass
class _Track:
    """The first audio track. Lengths are in units of its timescale; ``presented`` is in units of the movie's."""

    timescale: int = 0
    is_sound: bool = False
    codec: bytes = b""
    rate: int = 0
    media: int = 0
    claimed: int = 0
    presented: int = 0
    packet: int = 0
    last: int = 0
    n_durations: int = 0
    """Packets by the table of durations."""
    n_sizes: int | None = None
    """Packets by the table of sizes; None if there is none."""
    edits: list[_Edit] = field(default_factory=list)

    @property
    def rate_or_unit(self) -> int:
        """The rate in Hz, or the timescale where the header has none; never 0."""
        return self.rate or self.timescale or 1

    @property
    def is_contradictory(self) -> bool:
        """Whether the tables of the track contradict each other, or its codec, so that its length is not known."""
        if self.n_sizes is not None and self.n_durations != self.n_sizes:
            return True
        if self.codec != b"mp4a" or not self.timescale or self.n_durations < 2:
            return not self.timescale
        # All packets but the last have one length. Timestamps of recorders vary, so the longest may be too long.
        samples = self.packet * self.rate_or_unit / self.timescale
        is_usual = any(abs(samples - usual) < 0.5 for usual in AAC_BLOCKS)
        return not is_usual and not AAC_BLOCK <= samples <= 5 * AAC_BLOCK

    @property
    def most_padding(self) -> int:
        """The most padding that an encoder adds at a start or an end; 0 for lossless codecs."""
        if self.codec in LOSSLESS:
            return 0
        return max(PADDED_PACKETS * self.packet, self.timescale // 10)


@dataclass
class _Movie:
    timescale: int = 0
    is_fragmented: bool = False
    share_held: float = 1.0
    """The share of the claimed bytes of sound that the file has."""
    itunes: str | None = None
    track: _Track | None = None


def movie_parts(window: Window, origin: int) -> list[Part]:
    """The first audio track of an MP4, and which of its samples are sound."""
    as_it_is = Part((Span(origin, window.size),) if origin else None)
    if origin:
        return [as_it_is]  # offsets in the header count from the first byte of the file
    movie = _Movie()
    for name, start, stop in _boxes(window, origin, window.size):
        if name == b"moov":
            _read_movie(window, start, stop, movie)
        elif name == b"moof":
            movie.is_fragmented = True
        elif name == b"mdat" and stop == window.size:
            movie.share_held = _share_held(window, start)
    track = movie.track
    if track is None:
        return [as_it_is]
    if movie.is_fragmented:
        return [_fragmented(track) if track.timescale else as_it_is]
    if track.is_contradictory:
        return [_contradictory(track, window.size)]
    if not track.media:
        return [as_it_is]
    keep, silent, notes = _keep(movie, track)
    sound = track.media if keep is None else (keep.stop or track.media) - keep.start
    held_s = min(max(0, sound) / track.timescale, window.size / LEAST_BYTES_PER_S)
    return [Part(length=Length(held_s * movie.share_held, held_s), keep=keep, drop_silent_start=silent, notes=notes)]


def _contradictory(track: _Track, size: int) -> Part:
    """All that can be decoded: no length of such a track says where its sound ends."""
    packets = track.n_durations if track.n_sizes is None else track.n_sizes
    held_s = min(size / LEAST_BYTES_PER_S, 2 * packets * AAC_BLOCK / track.rate_or_unit)
    if track.codec != b"mp4a":
        held_s = min(size / LEAST_BYTES_PER_S, track.media / max(1, track.timescale) or size)
    note = "The tables of the file contradict each other: they were not followed, all sound of the file is there."
    return Part(length=Length(held_s), keep=Keep(0, None, max(1, track.timescale)), notes=(note,))


def _fragmented(track: _Track) -> Part:
    """Fragments list their own samples, so that only the start of an edit list can be checked."""
    begin = max((edit.begin for edit in track.edits), default=0)
    if begin <= max(PADDED_PACKETS * AAC_BLOCK * 2, track.timescale // 10):
        return Part()
    aac_start = AAC_BLOCK * track.timescale // track.rate_or_unit if track.codec == b"mp4a" else 0
    note = "The file's edit list leaves out more than padding: it was ignored, all was kept."
    return Part(keep=Keep(0, None, track.timescale), drop_silent_start=aac_start, notes=(note,))


def _keep(movie: _Movie, track: _Track) -> tuple[Keep | None, int, tuple[str, ...]]:
    """What to keep; how many samples at the start are padding if they are silent; notes."""
    by_edits, silent, notes = _by_edits(movie, track)
    by_tag = _by_itunes(movie.itunes, track)
    if by_tag is None:
        return by_edits, silent, notes
    edits_stop = track.media if by_edits is None or by_edits.stop is None else by_edits.stop
    edits_start = by_edits.start if by_edits else 0
    assert by_tag.stop is not None
    if (
        by_edits is not None
        and not notes
        and (by_tag.stop - by_tag.start)
        < (edits_stop - edits_start) - ROUNDING * (track.timescale // max(1, movie.timescale) + 1)
    ):
        less = (edits_stop - edits_start - by_tag.stop + by_tag.start) / track.timescale
        notes = (f"The file's iTunSMPB tag counts {less:.3f} s less than its edit list: the tag was followed.",)
    else:
        notes = ()
    return by_tag, 0, notes


def _by_itunes(text: str | None, track: _Track) -> Keep | None:
    """iTunes' tag: hexadecimal counts of delay, padding and samples. None if they do not fit the packets."""
    if text is None:
        return None
    fields = text.split()[1:4]
    if len(fields) < 3 or not all(re.fullmatch("[0-9A-Fa-f]{1,16}", one) for one in fields):
        return None
    delay, padding, count = (int(one, 16) for one in fields)
    for scale in (1, 2):  # for HE-AAC some writers count at half the rate, some at the full one
        whole = (delay + padding + count) * track.timescale // (track.rate_or_unit * scale)
        packet = max(track.last, AAC_BLOCK * 2 * track.timescale // track.rate_or_unit)
        if count > 0 and abs(whole - track.media) < packet:
            unit = Fraction(track.timescale, track.rate_or_unit * scale)
            first = round(delay * unit)
            if max(delay, padding) * unit > track.most_padding:
                return None
            return Keep(first, min(first + round(count * unit), track.media), track.timescale)
    return None


def _by_edits(movie: _Movie, track: _Track) -> tuple[Keep | None, int, tuple[str, ...]]:
    edits = [edit for edit in track.edits if edit.begin >= 0]
    if not edits or not movie.timescale:
        aac_start = AAC_BLOCK * track.timescale // track.rate_or_unit if track.codec == b"mp4a" and track.edits else 0
        return Keep(0, track.media, track.timescale), aac_start, ()
    unit = Fraction(track.timescale, movie.timescale)
    slack = int(ROUNDING * unit) + 1
    for before, after in pairwise(edits):
        if abs(before.begin + before.length * unit - after.begin) > slack:
            return (
                Keep(0, track.media, track.timescale),
                0,
                ("The file's edit list rearranges the sound: it was not followed, all sound of the file is there.",),
            )
    begin = edits[0].begin
    length = sum(edit.length for edit in edits)
    end = begin + round(length * unit) if all(edit.length for edit in edits) else track.media
    stop = track.media if abs(end - track.media) <= slack else min(end, track.media)
    most_begin = track.most_padding or slack
    # If the sample table has a shorter last packet, the padding at the end is already left out.
    most_end = track.most_padding if track.last == track.packet else slack
    aac_start = AAC_BLOCK * track.timescale // track.rate_or_unit if track.codec == b"mp4a" else 0
    if begin == 0 and abs(track.media - end - aac_start) <= slack < aac_start:
        return Keep(0, track.media, track.timescale), aac_start, ()  # its length is right, its start is not
    if begin <= most_begin and track.media - stop <= max(most_end, slack) and begin < stop:
        # FFmpeg's edit list for a late start leaves out the entry for the padding; AAC has at least one block of it.
        is_late = begin == 0 and any(edit.begin < 0 for edit in track.edits)
        return Keep(begin, stop, track.timescale), aac_start if is_late else 0, ()
    total = sum(edit.length for edit in track.edits)
    is_meant = abs(total - track.presented) * 20 <= movie.timescale and track.claimed == track.media
    if is_meant and begin < end <= track.media + slack:
        left_out = (begin + track.media - stop) / track.timescale
        note = f"The file's edit list leaves out {left_out:.2f} s of its sound: they were left out."
        return Keep(begin, stop, track.timescale), 0, (note,)
    begin = begin if begin <= most_begin else 0
    note = "The file's edit list contradicts its other lengths: it was ignored, all was kept."
    return Keep(begin, track.media, track.timescale), 0 if begin else aac_start, (note,)


def _boxes(window: Window, start: int, stop: int) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the content of each box between ``start`` and ``stop``."""
    offset = start
    while offset + 8 <= stop:
        size, name, head = window.big(offset, 4), window.at(offset + 4, 4), 8
        if size == 1:
            size, head = window.big(offset + 8, 8), 16
        elif size == 0:
            size = stop - offset
        if size < head:
            return
        yield name, offset + head, min(offset + size, stop)
        offset += size


def _share_held(window: Window, start: int) -> float:
    """The share that the file has of a box whose content begins at ``start`` and is cut by the end of the file."""
    size = window.big(start - 8, 4)
    size = size - 8 if window.at(start - 4, 4) == b"mdat" else window.big(start - 8, 8) - 16
    left = window.size - start
    return min(1.0, left / size) if size > 0 else 1.0


def _read_movie(window: Window, start: int, stop: int, movie: _Movie) -> None:
    for name, begin, end in _boxes(window, start, stop):
        if name == b"mvhd":
            movie.timescale = window.big(begin + (20 if window.at(begin, 1) == b"\1" else 12), 4)
        elif name == b"mvex":
            movie.is_fragmented = True
        elif name == b"udta":
            _read_movie(window, begin, end, movie)
        elif name == b"meta":
            # MP4 has four bytes (version and flags) before the content, QuickTime has not.
            at = begin if window.at(begin + 4, 4) == b"hdlr" else begin + 4
            movie.itunes = movie.itunes or _read_itunes(window, at, end)
        elif name == b"trak" and movie.track is None:
            track = _Track()
            _read_track(window, begin, end, track)
            movie.track = track if track.is_sound else None


def _read_itunes(window: Window, start: int, stop: int) -> str | None:
    """The text of iTunes' tag for gapless playback, from either form of a tag list; None if there is none."""
    keys: list[bytes] = []
    for name, begin, end in _boxes(window, start, stop):
        if name == b"keys":
            keys = [window.at(at, to - at) for _, at, to in _boxes(window, begin + 8, min(end, begin + MOST_TAG_BYTES))]
        elif name == b"ilst":
            for item, at, to in _boxes(window, begin, end):
                number = int.from_bytes(item, "big")
                key = keys[number - 1] if 0 < number <= len(keys) else b""
                for inner, data, until in _boxes(window, at, to) if item == b"----" or key else ():
                    content = window.at(data, min(until - data, MOST_TAG_BYTES))
                    if inner == b"name":
                        key = content[4:]
                    elif inner == b"data" and key == b"iTunSMPB":
                        return content[8:].decode("ascii", "replace")
    return None


def _read_track(window: Window, start: int, stop: int, track: _Track) -> None:
    for name, begin, end in _boxes(window, start, stop):
        wide = window.at(begin, 1) == b"\1"
        if name in (b"mdia", b"minf", b"stbl", b"edts"):
            _read_track(window, begin, end, track)
        elif name == b"tkhd":
            track.presented = window.big(begin + (28 if wide else 20), 8 if wide else 4)
        elif name == b"mdhd":
            track.timescale = window.big(begin + (20 if wide else 12), 4)
            track.claimed = window.big(begin + (24 if wide else 16), 8 if wide else 4)
        elif name == b"hdlr":
            track.is_sound = track.is_sound or window.at(begin + 8, 4) == b"soun"
        elif name == b"elst":
            track.edits = _edits(window, begin, end, wide)
        elif name == b"stts":
            count = min(window.big(begin + 4, 4), (end - begin - 8) // 8, MOST_DURATIONS)
            for at in range(begin + 8, begin + 8 + 8 * count, 8):
                track.last = window.big(at + 4, 4)
                track.packet = max(track.packet, track.last)
                track.media += window.big(at, 4) * track.last
                track.n_durations += window.big(at, 4)
        elif name in (b"stsz", b"stz2"):
            same_size = window.big(begin + 4, 4) if name == b"stsz" else 0
            width = 32 if name == b"stsz" else max(1, window.big(begin + 7, 1))
            track.n_sizes = window.big(begin + 8, 4)
            if not same_size:
                track.n_sizes = min(track.n_sizes, (end - begin - 12) * 8 // width)
        elif name == b"stsd":
            track.codec = window.at(begin + 12, 4)
            track.rate = window.big(begin + 40, 4) >> 16  # 0 for rates of more than 16 bits


def _edits(window: Window, start: int, stop: int, wide: bool) -> list[_Edit]:
    width = 8 if wide else 4
    size = 2 * width + 4
    count = min(window.big(start + 4, 4), (stop - start - 8) // size, MOST_EDITS)
    edits = []
    for at in range(start + 8, start + 8 + size * count, size):
        begin = int.from_bytes(window.at(at + width, width), "big", signed=True)
        edits.append(_Edit(window.big(at, width), begin))
    return edits
