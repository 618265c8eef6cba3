"""The frames of raw AAC (ADTS): joined files and tags between frames."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from stemwright.audio.containers.part import Length, Part
from stemwright.audio.containers.pieces import WINDOW_BYTES, Piece, Span, Window
from stemwright.audio.containers.resync import next_start
from stemwright.audio.containers.tag_frames import front_tag_size

RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
BLOCK_SAMPLES = 1024
POSSIBLE = re.compile(rb"\xff[\xf0-\xff]|ID3|APETAGEX|TAG")  # the first bytes of a frame or a tag


@dataclass(frozen=True)
class Frame:
    """The fields of a frame's header."""

    size: int
    samples: int
    rate: int
    kind: tuple[int, int, int]
    """Profile, rate and channels, which do not change within a stream."""


@dataclass
class _Run:
    kind: tuple[int, int, int]
    rate: int
    samples: int = 0
    spans: list[Span] = field(default_factory=list)

    def add(self, start: int, stop: int) -> None:
        if self.spans and self.spans[-1].stop == start:
            self.spans[-1] = replace(self.spans[-1], stop=stop)
        else:
            self.spans.append(Span(start, stop))


def read_frame(head: bytes) -> Frame | None:
    """Read the header in the first seven bytes; None if they are not one."""
    if len(head) < 7 or head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return None
    index = head[2] >> 2 & 15
    size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    if index >= len(RATES) or size < 7:
        return None
    channels = (head[2] & 1) << 2 | head[3] >> 6
    return Frame(size, BLOCK_SAMPLES * ((head[6] & 3) + 1), RATES[index], (head[2] >> 6, index, channels))


def joined_parts(window: Window, start: int) -> list[Part]:
    """The joined streams from ``start`` on, without tags; an empty list if there are no frames at ``start``."""
    if not is_confirmed(window, start, 3):
        return []
    runs: list[_Run] = []
    is_plain = True
    offset = start
    while offset < window.size:
        frame = read_frame(window.at(offset, 7))
        run = runs[-1] if runs else None
        known = run is not None and frame is not None and frame.kind == run.kind
        if frame is None or not (known or is_confirmed(window, offset, 2)):
            size = front_tag_size(window, offset)
            if size:
                offset += size
                is_plain = is_plain and offset >= window.size
                continue
            resumed = next_start(window, offset + 1, POSSIBLE, is_confirmed)
            if run is not None and resumed < window.size:
                run.add(offset, resumed)  # damage: the decoder gets it, and reports it
            offset = resumed
            continue
        if run is None or not known:
            is_plain = is_plain and run is None
            run = _Run(frame.kind, frame.rate)
            runs.append(run)
        stop = min(offset + frame.size, window.size)
        run.add(offset, stop)
        if stop == offset + frame.size:
            run.samples += frame.samples
        offset = _plain_frames(window, stop, run)
    if len(runs) == 1 and is_plain:
        return [Part(length=Length(runs[0].samples / runs[0].rate))]
    parts = []
    for number, run in enumerate(runs):
        pieces: tuple[Piece, ...] = tuple(run.spans)
        if number == 0 and start > 0:
            pieces = (Span(0, start), *pieces)  # a tag with the title may precede the first frame
        parts.append(Part(pieces, "aac", Length(run.samples / run.rate)))
    return parts


def frames_end(window: Window, offset: int) -> int:
    """Where the frames and tags that follow each other from ``offset`` on end."""
    while offset < window.size:
        frame = read_frame(window.at(offset, 7))
        if frame is None:
            size = front_tag_size(window, offset)
            if not size:
                break
            offset += size
        else:
            offset = _plain_frames(window, offset + frame.size, _Run(frame.kind, frame.rate))
    return offset


def _plain_frames(window: Window, offset: int, run: _Run) -> int:
    """Skip frames of the run's kind; returns where something else begins, or the last bytes.

    An hour has 155,000 frames, so only this loop has to be fast.
    """
    first = offset
    samples = 0
    profile, rate, channels = run.kind
    third, fourth = profile << 6 | rate << 2 | channels >> 2, (channels & 3) << 6
    while window.size - offset > WINDOW_BYTES // 2:
        data = window.at(offset, WINDOW_BYTES // 2)
        at = 0
        while at + 7 < len(data):
            fixed = data[at] == 0xFF and data[at + 1] & 0xF6 == 0xF0
            # One bit of the third byte is private.
            if not fixed or data[at + 2] & 0xFD != third or data[at + 3] & 0xC0 != fourth:
                break
            size = (data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5
            if size < 7:
                break
            samples += BLOCK_SAMPLES * ((data[at + 6] & 3) + 1)
            at += size
        else:
            offset += at
            continue
        offset += at
        break
    if offset > first:
        run.add(first, offset)
        run.samples += samples
    return offset


def is_confirmed(window: Window, offset: int, count: int) -> bool:
    """Whether ``count`` frames of one kind start at ``offset``, or fewer up to a tag or the end of the file."""
    kind = None
    for number in range(count):
        frame = read_frame(window.at(offset, 7))
        if frame is None or (kind is not None and frame.kind != kind):
            return number > 0 and (offset >= window.size or front_tag_size(window, offset) > 0)
        kind = frame.kind
        offset += frame.size
    return True
