"""Padding in Matroska and WebM (CodecDelay and DiscardPadding, RFC 9559), checked before FFmpeg trims by it.

FFmpeg's demuxer turns both into side data of packets (AV_PKT_DATA_SKIP_SAMPLES): the number of samples to skip at the
start of the packet, then at its end, in four bytes each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from stemwright.audio.containers.ogg import LONGEST_USUAL_SKIP
from stemwright.audio.input_file import LOSSLESS_CODECS

if TYPE_CHECKING:
    from av.audio.stream import AudioStream
    from av.packet import Packet, PacketSideData

MOST_FRAMES = 3  # an encoder adds fewer at the start
MOST_S = 0.1  # the limit if the length of a frame is not known
OPUS_RATE = 48000
ROUNDING = 60  # samples at 48 kHz: some writers round CodecDelay to milliseconds


class PaddingMarks:
    """Corrects the marks on the packets of one stream; ``note`` is called for marks that are ignored."""

    def __init__(self, stream: AudioStream, note: Callable[[str], None]) -> None:
        codec = stream.codec_context
        self._note = note
        self._pre_skip = _pre_skip(codec.extradata) if codec.name in ("opus", "libopus") else None
        self._is_lossless = codec.name.startswith("pcm_") or codec.name in LOSSLESS_CODECS
        self._most_at_start = MOST_FRAMES * (codec.frame_size or 0) or round(MOST_S * codec.sample_rate)

    def judged(self, packets: Iterator[Packet[AudioStream]]) -> Iterator[Packet[AudioStream]]:
        """The same packets without wrong marks."""
        waiting: Packet[AudioStream] | None = None
        is_first = True
        for packet in packets:
            if waiting is not None:
                self._judge(waiting, is_first, is_last=not packet.size)
                is_first = False
                yield waiting
            waiting = packet
        if waiting is not None:
            self._judge(waiting, is_first, is_last=True)
            yield waiting

    def _judge(self, packet: Packet[AudioStream], is_first: bool, is_last: bool) -> None:
        mark = packet.get_sidedata("skip_samples") if packet.has_sidedata("skip_samples") else None
        at_start, at_end = _counts(mark)
        kept_start, kept_end = at_start, at_end
        if is_first and self._pre_skip is not None:
            kept_start = self._opus_start(at_start, self._pre_skip)
        elif at_start and (not is_first or self._is_lossless or at_start > self._most_at_start):
            kept_start = 0
            self._note("The file marks more padding at its start than an encoder adds: it was ignored, all was kept.")
        if at_end and (not is_last or self._is_lossless):
            # FFmpeg ignores padding longer than the packet, so no more than the last packet is dropped.
            kept_end = 0
            where = "in a lossless stream" if self._is_lossless else "before the end of its sound"
            self._note(f"The file marks padding {where}: it was ignored, all was kept.")
        if mark is not None and (kept_start, kept_end) != (at_start, at_end):
            rest = bytes(memoryview(mark))[8:]
            mark.update(kept_start.to_bytes(4, "little") + kept_end.to_bytes(4, "little") + rest)
            packet.set_sidedata(mark)

    def _opus_start(self, marked: int, pre_skip: int) -> int:
        """How many samples to skip at the start of Opus. The mark and the pre-skip of the header should be the same.

        If they differ, the pre-skip is used if it is a usual one. Without a mark FFmpeg uses it too.
        """
        skip = pre_skip
        if marked and abs(marked - pre_skip) > ROUNDING:
            if pre_skip > LONGEST_USUAL_SKIP:
                skip = min(marked, pre_skip)
            elif not pre_skip and marked <= LONGEST_USUAL_SKIP:
                skip = marked  # every encoder has a delay, so 0 is wrong
            self._note(
                "The CodecDelay of the file contradicts the header of its Opus stream: "
                f"{skip / OPUS_RATE:.3f} s were left out at the start."
            )
        elif skip > LONGEST_USUAL_SKIP:
            self._note(f"The header of the Opus stream leaves out its first {skip / OPUS_RATE:.1f} s: it was followed.")
        return skip


def _counts(mark: PacketSideData | None) -> tuple[int, int]:
    """Samples to skip at the start and at the end of a packet."""
    data = b"" if mark is None else bytes(memoryview(mark))
    return int.from_bytes(data[:4], "little"), int.from_bytes(data[4:8], "little")


def _pre_skip(extradata: bytes | None) -> int | None:
    """The pre-skip of an OpusHead, in samples at 48 kHz (RFC 7845, section 5.1); None where there is no such header."""
    if extradata is None or extradata[:8] != b"OpusHead" or len(extradata) < 12:
        return None
    return int.from_bytes(extradata[10:12], "little")
