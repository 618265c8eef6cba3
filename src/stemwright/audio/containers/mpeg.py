"""Streams of MPEG audio (layers I to III): joined files, tags between frames, damage, and info frames.

In a joined file each part may have its own info frame.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace

from stemwright.audio.containers.mpeg_damage import Damage, lost_frames, repeated, silent_frame
from stemwright.audio.containers.mpeg_frame import INFO_BYTES, INFO_NAMES, Info, read_frame, read_info
from stemwright.audio.containers.part import Keep, Length, Part
from stemwright.audio.containers.pieces import WINDOW_BYTES, Piece, Span, Window
from stemwright.audio.containers.resync import SEARCHED_BYTES, next_start
from stemwright.audio.containers.tag_frames import front_tag_size

DECODER_DELAY = 529  # samples, of every MP3 decoder
# Encoders pad start and end by less than two frames each; larger values need a correct checksum.
MOST_PADDING = 2880
POSSIBLE = re.compile(rb"\xff[\xe0-\xff]|ID3|APETAGEX|TAG|LYRICSBEGIN")  # the first bytes of a frame or a tag


@dataclass
class _Run:
    """Frames of one kind, for one decoder."""

    kind: tuple[int, int, int]
    frame_samples: int
    silent_frame: bytes
    info: Info | None = None
    info_bytes: int = 0
    n_frames: int = 0
    spans: list[Span | Damage] = field(default_factory=list)

    @property
    def damages(self) -> list[Damage]:
        """Ranges of bytes that are not frames."""
        return [one for one in self.spans if isinstance(one, Damage)]

    @property
    def sound_bytes(self) -> int:
        """The bytes of all frames together."""
        return sum(span.stop - span.start for span in self.spans if isinstance(span, Span))

    @property
    def is_whole(self) -> bool:
        """Whether the file has all bytes that the info frame counts."""
        if self.info is None or self.info.n_bytes is None:
            return False
        held = self.info_bytes + self.sound_bytes + sum(damage.n_bytes for damage in self.damages)
        return self.info.n_bytes <= held + 4096

    def add(self, start: int, stop: int) -> None:
        last = self.spans[-1] if self.spans else None
        if isinstance(last, Span) and last.stop == start:
            self.spans[-1] = replace(last, stop=stop)
        else:
            self.spans.append(Span(start, stop))


def tag_size(window: Window, start: int) -> int:
    """The size of the tag at ``start``; 0 if there is none.

    A tag whose size is too large would hide sound: it ends where frames begin in it that go on beyond its end, with one
    frame across it. A sound file within a tag ends within it.
    """
    size = front_tag_size(window, start)
    stop = min(start + size, window.size)
    offset = start + 10
    while size and offset < stop:
        data = window.at(offset, min(SEARCHED_BYTES, stop - offset))
        at = data.find(b"\xff")
        while at >= 0:
            if is_confirmed(window, offset + at):
                end = _chain_end(window, offset + at, stop)
                if end is None:
                    return offset + at - start
                at = end - offset - 1
            at = data.find(b"\xff", at + 1)
        offset += len(data)
    return size


def _chain_end(window: Window, offset: int, stop: int) -> int | None:
    """Where the frames from ``offset`` on end; None if one of them crosses ``stop``, or ends at the end of the file."""
    while offset < stop:
        frame = read_frame(window.at(offset, 4))
        if frame is None:
            return offset
        offset += frame.size
    return None if offset > stop or offset == window.size else offset


def sound_start(window: Window) -> int:
    """Where the tags at the start of the file end."""
    offset = 0
    while (size := tag_size(window, offset)) and offset + size < window.size:
        offset += size
    return offset


def joined_parts(window: Window, start: int, stop: int | None = None) -> list[Part]:
    """The joined streams from ``start`` to ``stop``, without info frames and tags.

    An empty list if no frame is found.
    """
    stop = window.size if stop is None else stop
    first = _first_frame(window, start)
    if first is None:
        return []
    runs, is_plain = _walk(window, first, stop)
    if not runs:
        return []
    if len(runs) == 1 and is_plain and not runs[0].damages and _agrees(runs[0]):
        run = runs[0]
        held = _samples(run, run.info) / run.kind[0]
        return [Part(length=Length(held, _claimed_s(run)))]
    parts = []
    for number, run in enumerate(runs):
        pieces, n_lost = _mended(run)
        if number == 0 and 0 == start < first:
            pieces = (Span(0, first), *pieces)  # a tag with the title may precede the first frame
        notes: tuple[str, ...] = ()
        keep: Keep | None = None
        if run.info is not None and run.info.delay is not None:
            keep, notes = _keep(run, run.info)
        length = Length(_samples(run, run.info) / run.kind[0], _claimed_s(run))
        silence_s = n_lost * run.frame_samples / run.kind[0]
        parts.append(Part(pieces, "mp3", length, keep, silence_s=silence_s, notes=notes))
    return parts


def _mended(run: _Run) -> tuple[tuple[Piece, ...], int]:
    """The frames of a run with silent frames in place of damaged ones, and the number of silent frames.

    Adds them to the run's count of frames.
    """
    if not run.damages or not run.n_frames:
        return tuple(span for span in run.spans if isinstance(span, Span)), 0
    missing = None
    if run.info is not None and run.info.frames is not None and run.is_whole:
        missing = run.info.frames - run.n_frames
        most = sum(damage.n_bytes for damage in run.damages) // len(run.silent_frame) + 1
        missing = missing if 0 <= missing <= most else None
    counts = iter(lost_frames(run.damages, run.sound_bytes / run.n_frames, missing))
    pieces: list[Piece] = []
    n_lost = 0
    for span in run.spans:
        if isinstance(span, Damage):
            count = next(counts)
            n_lost += count
            pieces += repeated(run.silent_frame, count)
        else:
            pieces.append(span)
    run.n_frames += n_lost
    return tuple(pieces), n_lost


def _first_frame(window: Window, start: int) -> int | None:
    """The first offset where several frames of one kind follow each other."""
    data = window.at(start, SEARCHED_BYTES)
    at = data.find(b"\xff")
    while at >= 0:
        if is_confirmed(window, start + at):
            return start + at
        at = data.find(b"\xff", at + 1)
    return None


def is_confirmed(window: Window, offset: int, count: int = 3) -> bool:
    """Whether ``count`` frames of one kind start at ``offset``, or fewer up to a tag or the end of the file."""
    kind = None
    for number in range(count):
        frame = read_frame(window.at(offset, 4))
        if frame is None or (kind is not None and frame.kind[:2] != kind):
            return number > 0 and (offset == window.size or front_tag_size(window, offset) > 0)
        kind = frame.kind[:2]
        offset += frame.size
    return True


def _plain_frames(window: Window, offset: int, end: int, run: _Run) -> int:
    """Skip frames of sound of the run's kind; returns where something else begins, or the last bytes.

    An hour has 140,000 frames, so only this loop has to be fast.
    """
    kind = run.kind
    n_frames = 0
    first = offset
    while end - offset > WINDOW_BYTES // 2:
        data = window.at(offset, WINDOW_BYTES // 2)
        at = 0
        while at + INFO_BYTES < len(data):
            frame = read_frame(data[at : at + 4])
            if frame is None or frame.kind != kind:
                break
            name_at = at + frame.info_at
            if data.startswith(INFO_NAMES, name_at, name_at + 6) or data.startswith(b"VBRI", at + 36):
                break
            if frame.has_crc and data.startswith(INFO_NAMES, name_at + 2, name_at + 8):
                break
            at += frame.size
            n_frames += 1
        else:
            offset += at
            continue
        offset += at
        break
    if n_frames:
        run.add(first, offset)
        run.n_frames += n_frames
    return offset


def frames_end(window: Window, offset: int) -> int:
    """Where the frames and tags that follow each other from ``offset`` on end."""
    while offset < window.size:
        frame = read_frame(window.at(offset, 4))
        if frame is None:
            size = tag_size(window, offset)
            if not size:
                break
            offset += size
        else:
            run = _Run(frame.kind, frame.samples, b"")
            offset = _plain_frames(window, offset + frame.size, window.size, run)
    return offset


def _walk(window: Window, offset: int, end: int) -> tuple[list[_Run], bool]:
    """All frames from the first on; and True if there are no tags between them, and only one kind of frames."""
    runs: list[_Run] = []
    is_plain = True
    while offset < end:
        head = window.at(offset, 4)
        frame = read_frame(head)
        run = runs[-1] if runs else None
        known = run is not None and frame is not None and frame.kind == run.kind
        if frame is None or not (known or is_confirmed(window, offset, 2)):
            size = tag_size(window, offset)
            if size:
                offset += size
                is_plain = is_plain and offset >= end
                continue
            resumed = min(next_start(window, offset + 1, POSSIBLE, is_confirmed), end)
            if run is not None and resumed < end:
                run.spans.append(Damage(resumed - offset))
            offset = resumed
            continue
        stop = min(offset + frame.size, end)
        info = None
        if frame.layer == 3:
            info = read_info(frame, window.at(offset, min(frame.size, INFO_BYTES)))
        if info is not None or not known:
            is_plain = is_plain and run is None
            runs.append(_Run(frame.kind, frame.samples, silent_frame(head), info))
            run = runs[-1]
        assert run is not None
        if info is not None:
            run.info_bytes = stop - offset
        else:
            run.add(offset, stop)
            run.n_frames += stop == offset + frame.size
        offset = _plain_frames(window, stop, end, run)
    return [run for run in runs if run.spans], is_plain


def _samples(run: _Run, info: Info | None) -> int:
    total = run.n_frames * run.frame_samples
    if info is None or info.delay is None or info.padding is None or not _is_plausible(info, total):
        return total
    return total - info.delay - max(DECODER_DELAY, info.padding)


def _is_plausible(info: Info, total: int) -> bool:
    if info.delay is None or info.padding is None or info.delay + max(info.padding, DECODER_DELAY) >= total:
        return False
    return info.checksum_holds or max(info.delay, info.padding) <= MOST_PADDING


def _agrees(run: _Run) -> bool:
    """Whether the info frame is correct, so that FFmpeg can trim by it."""
    info = run.info
    if info is None:
        return True
    total = run.n_frames * run.frame_samples
    return info.frames in (None, run.n_frames) and (info.delay is None or _is_plausible(info, total))


def _claimed_s(run: _Run) -> float | None:
    """The length by the info frame, if bytes that it counts are missing; else None."""
    info = run.info
    if info is None or not info.frames or info.frames <= run.n_frames:
        return None
    if run.is_whole:
        return None  # the file is whole: the count of frames is wrong
    claimed = info.frames * run.frame_samples
    if info.n_bytes and not 4000 < info.n_bytes * 8 * run.kind[0] / claimed < 700_000:
        return None  # not a bit rate that MP3 can have
    return claimed / run.kind[0]


def _keep(run: _Run, info: Info) -> tuple[Keep | None, tuple[str, ...]]:
    """Which samples to keep of a stream that is decoded without its info frame; notes."""
    total = run.n_frames * run.frame_samples
    assert info.delay is not None and info.padding is not None
    if not _is_plausible(info, total):
        return None, (
            "A tag of the MP3 states more padding at its start or end than is likely: it was ignored, all was kept.",
        )
    stop = None
    if info.frames == run.n_frames:
        stop = total - max(0, info.padding - DECODER_DELAY)
    return Keep(info.delay + DECODER_DELAY, stop, run.kind[0]), ()
