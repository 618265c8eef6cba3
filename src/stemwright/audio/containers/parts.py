"""Scans a file before FFmpeg opens it, for its consecutive streams and their lengths.

Headers are not trusted: no length exceeds what the bytes of the file can hold. An unknown size in a file written to a
pipe is not damage.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from stemwright.audio.containers import adts, flac, mpeg
from stemwright.audio.containers.aiff import aiff_parts, au_parts
from stemwright.audio.containers.caf import caf_parts
from stemwright.audio.containers.joined_files import joined_files
from stemwright.audio.containers.mp4 import movie_parts
from stemwright.audio.containers.ogg import chained_parts
from stemwright.audio.containers.part import Part
from stemwright.audio.containers.pieces import Span, Window
from stemwright.audio.containers.tag_frames import end_of_front_tags
from stemwright.audio.containers.wave import wave_parts


def parts_of(path: Path) -> list[Part]:
    """The parts of a file, at least one."""
    with path.open("rb") as file:
        window = Window(file)
        spans = joined_files(window)
        if spans == [Span(0, window.size)]:
            return _parts_of_one(window)
        return [_moved(part, span) for span in spans for part in _parts_of_one(Window(file, span))]


def _moved(part: Part, span: Span) -> Part:
    """A part of the file in ``span``, with offsets that count from the start of the whole file."""

    def moved(inner: Span) -> Span:
        return Span(span.start + inner.start, span.start + inner.stop)

    pieces = tuple(
        moved(one) if isinstance(one, Span) else one for one in part.pieces or (Span(0, span.stop - span.start),)
    )
    return replace(part, pieces=pieces, front_tags=moved(part.front_tags) if part.front_tags else None)


def _parts_of_one(window: Window) -> list[Part]:
    """The parts of a file that is not joined to another one, or only to files of its own kind."""
    start = end_of_front_tags(window, 0)
    head = window.at(start, 16)
    name = head[:4]
    parts: list[Part] = []
    if (name in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:12] == b"WAVE") or head[:8] == b"riff\x2e\x91\xcf\x11":
        parts = wave_parts(window, start)
    elif name == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
        parts = aiff_parts(window, start)
    elif name == b".snd":
        parts = au_parts(window, start)
    elif name == b"caff":
        parts = caf_parts(window, start)
    elif name == b"OggS":
        parts = chained_parts(window, start)
    elif name == b"fLaC":
        parts = flac.joined_parts(window, start)
    elif head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot"):
        parts = movie_parts(window, start)
    elif head[:1] == b"\xff" and adts.read_frame(head) is not None:
        parts = adts.joined_parts(window, start)
    is_transport = head[:1] == b"\x47" and window.at(start + 188, 1) == b"\x47"
    if not parts and not is_other(head) and not is_transport:
        begin = mpeg.sound_start(window)
        parts = mpeg.joined_parts(window, begin)
        if begin != start:  # the size of a tag is too large: FFmpeg would skip sound
            whole = (Span(begin, window.size),)
            parts = [replace(part, pieces=part.pieces or whole, demuxer="mp3") for part in parts]
    parts = parts or [Part((Span(start, window.size),) if start and is_other(head) else None)]
    if start and is_other(head):
        parts[0] = replace(parts[0], front_tags=Span(0, start))
    return parts


def is_other(head: bytes) -> bool:
    """Whether this is the header of a container, so that the file is not raw MPEG audio."""
    return (
        head[4:8] in (b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot")
        or head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64", b"riff", b"FORM", b".snd", b"caff", b"OggS", b"fLaC")
        or head[:4] in (b"wvpk", b"MAC ", b"TTA1", b"\x1a\x45\xdf\xa3", b"\x30\x26\xb2\x75", b"FLV\x01")
        or head[:4] in (b"\x00\x00\x01\xba", b"\x00\x00\x01\xb3", b"\x7f\xfe\x80\x01")
        or head[:2] == b"\x0b\x77"
    )
