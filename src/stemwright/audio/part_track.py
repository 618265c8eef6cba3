"""One stream of a file: decoded, folded to stereo, damage replaced by silence, padding trimmed."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from stemwright.audio.containers.part import Part
from stemwright.audio.frame import Block, folded
from stemwright.audio.input_file import (
    SourceFormat,
    front_tags,
    held_and_claimed_s,
    open_sound,
    packets_of,
    source_format,
)
from stemwright.audio.matroska import PaddingMarks
from stemwright.audio.trim import cut, without_silent_start
from stemwright.errors import UnreadableInputError

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

# Kept back until the end of the stream: encoders pad the end by less than four frames of 2048 samples.
TAIL_SAMPLES = 8192
VORBIS_PADDING = 4096  # the last packet is trimmed by less than a long block, 2048 samples in practice
# Longer gaps between timestamps after damage are taken to be wrong.
LONGEST_GAP_S = 30.0
# No recorder goes beyond it. Higher rates are errors in headers, and would only take memory.
HIGHEST_RATE = 768_000
SKIP_MANUAL = 1 << 29  # AV_CODEC_FLAG2_SKIP_MANUAL: FFmpeg does not drop samples that are marked as padding


class PartTrack:
    """Decodes a part of a file from its start to its end; raises UnreadableInputError.

    ``notes`` says, after all blocks were read, what was changed or could not be read. ``format`` describes the part.
    ``claimed_s`` is its length by the header, None if that is not known.
    """

    def __init__(self, path: Path, part: Part) -> None:
        self.path = path
        self.notes: list[str] = list(part.notes)
        self.read_s = 0.0
        self._samples = 0
        self._part = part
        self._lost_packets = 0
        self._lost_samples = 0
        self._first_packet_sounds = False
        self._packets_end: int | None = None
        self._last_duration = 0
        self._container, self._stream, self._file = open_sound(path, part)
        try:
            codec = self._stream.codec_context
            if codec.name == "flac":
                codec.options = {"err_detect": "crccheck+explode"}  # without it a damaged packet decodes to noise
            if self._is_ogg_vorbis() or part.keep is not None:
                codec.flags2 |= SKIP_MANUAL  # FFmpeg drops up to a packet too much at the end of some streams
            self._frames = self._decode()
            self._first = next(self._frames, None)
            if self._first is None:
                raise self.silent()
            held_s, self.claimed_s = held_and_claimed_s(path, self._container, self._stream, part)
            self.format: SourceFormat = source_format(
                self._container, self._stream, self._first, held_s, front_tags(path, part)
            )
            if self.format.sample_rate > HIGHEST_RATE:
                raise UnreadableInputError(
                    f"{path} has {self.format.sample_rate} samples a second, more than {HIGHEST_RATE}: convert it to 48000."
                )
        except BaseException:
            self._close_file()
            raise

    def close(self) -> None:
        """Close the file."""
        self._frames.close()
        self._close_file()

    def _close_file(self) -> None:
        self._container.close()
        if self._file is not None:
            self._file.close()

    def _is_ogg_vorbis(self) -> bool:
        return self._container.format.name == "ogg" and self._stream.codec_context.name == "vorbis"

    def blocks(self) -> Iterator[tuple[int, Block]]:
        """The whole part, once: sample rates and blocks ``(1 or 2, samples)`` float32.

        Where rate or channels change within the part, they change from one block to the next.
        """
        waiting: deque[tuple[int, Block]] = deque()
        held = 0
        for rate, block in self._kept():
            waiting.append((rate, block))
            held += block.shape[1]
            self._samples += block.shape[1]
            self.read_s += block.shape[1] / rate
            while held - waiting[0][1].shape[1] >= TAIL_SAMPLES:
                held -= waiting[0][1].shape[1]
                yield waiting.popleft()
        length = self._true_length()
        padding = 0 if length is None else self._samples - length
        if self._is_ogg_vorbis() and padding > VORBIS_PADDING and not self._stream.start_time:
            self._note_once("The position of the last page of the Vorbis stream contradicts its packets: all was kept.")
            padding = 0
        if not 0 < padding <= min(held, TAIL_SAMPLES):
            padding = 0
        self.read_s -= padding / self.format.sample_rate
        held -= padding
        for rate, block in waiting:
            kept = block[:, : max(0, held)]
            held -= block.shape[1]
            if kept.shape[1]:
                yield rate, kept

    def _kept(self) -> Iterator[tuple[int, Block]]:
        """Blocks without the padding, by the part's ``keep``."""
        keep = self._part.keep
        if keep is None:
            return self._mended()
        rate = self.format.sample_rate
        first = round(keep.start * rate / keep.timescale)
        stop = None if keep.stop is None else round(keep.stop * rate / keep.timescale)
        blocks = cut(self._mended(), rate, first, stop)
        silent = round(self._part.drop_silent_start * rate / keep.timescale)
        return without_silent_start(blocks, silent) if silent else blocks

    def _decode(self) -> Generator[AudioFrame, None, None]:
        """All frames; the length of packets that do not decode goes to ``_lost_samples``."""
        import av.error

        time_base = self._stream.time_base
        assert time_base is not None  # every stream that was demuxed has one
        packets = packets_of(self._container, self._stream)
        if self._container.format.name.startswith("matroska"):
            packets = PaddingMarks(self._stream, self._note_once).judged(packets)
        for number, packet in enumerate(packets):
            rate = self._stream.codec_context.sample_rate
            if packet.pts is not None and packet.duration:
                self._packets_end = packet.pts + packet.duration
                self._last_duration = packet.duration
            try:
                frames = packet.decode()
            except (av.error.FFmpegError, OSError):
                if packet.size:
                    self._lost_packets += 1
                    self._lost_samples += round((packet.duration or 0) * time_base * rate)
                continue
            except ValueError as error:
                raise self._unknown_codec() from error
            frames = [frame for frame in frames if frame.samples]
            if frames and number == 0:
                self._first_packet_sounds = True
            yield from frames

    def _mended(self) -> Iterator[tuple[int, Block]]:
        """Frames as blocks, with silence for what was lost between two of them."""
        first = self._first
        assert first is not None
        frame: AudioFrame | None = first
        rate = first.sample_rate
        position = 0
        silence_s = self._part.silence_s
        # With SKIP_MANUAL FFmpeg also returns the first packet of Vorbis, which only prepares the second.
        early = to_drop = first.samples if self._is_ogg_vorbis() and self._first_packet_sounds else 0
        while frame is not None:
            if frame.sample_rate != rate:
                first, rate, position, early = frame, frame.sample_rate, 0, 0
            gap = self._gap(frame, first, early + position)
            block = self._finite(self._fold(frame)[:, to_drop:], position)
            to_drop = 0
            if gap:
                silence_s += gap / rate
                position += gap
                yield rate, np.zeros((block.shape[0], gap), np.float32)
            position += block.shape[1]
            yield rate, block
            frame = next(self._frames, None)
        if silence_s:
            self.notes.append(f"Damaged parts of the file, {silence_s:.2f} s in all, were replaced by silence.")

    def _gap(self, frame: AudioFrame, first: AudioFrame, position: int) -> int:
        """Samples of silence to put before ``frame``: by its timestamp if that is precise, else the lost packets.

        Timestamps are used after damage only, since they can be wrong in undamaged files. In FLAC every frame has its
        own position, and FFmpeg drops damaged ones without an error.
        """
        lost, self._lost_samples = self._lost_samples, 0
        if frame.pts is None:  # from the flush at the end: what is missing there is noted as an early end
            return 0
        rate = frame.sample_rate
        base = self._stream.time_base
        fine = frame is not first and base is not None and base * rate <= 1
        if base and first.pts is not None and fine and (lost or self._part.has_gaps or self.format.container == "flac"):
            start = frame.pts
            if self._is_ogg_vorbis() and frame.duration and frame.duration != frame.samples:
                # The first packet of a page: FFmpeg counts back from its end, but by a length that may be wrong.
                start += frame.duration - frame.samples
            gap = round((start - first.pts) * base * rate) - position
            if 0 <= gap <= LONGEST_GAP_S * rate:
                return gap
        return lost

    def _fold(self, frame: AudioFrame) -> Block:
        """``(1 or 2, samples)``."""
        layout = frame.layout
        if layout.nb_channels > 2:
            self._note_once(
                f"{layout.nb_channels} channels ({layout.name}) folded to stereo by ITU-R BS.775: "
                "centre and surrounds at -3 dB, LFE left out, not normalised."
            )
        return folded(frame)

    def _finite(self, block: Block, position: int) -> Block:
        finite = np.isfinite(block).all(axis=0)
        if finite.all():
            return block
        if self.format.is_float:
            at_s = (position + int(np.argmin(finite))) / self.format.sample_rate
            raise UnreadableInputError(
                f"{self.path} holds a value that is not a number, or infinite, at {at_s:.3f} s: repair it, or "
                "export it again as 24-bit integers."
            )
        self._note_once("Values that were not finite were replaced by silence.")  # damaged data
        return np.where(finite, block, np.float32(0))

    def _true_length(self) -> int | None:
        """Length in samples without the encoder's padding at the end; None if that was trimmed before.

        In MP4 the sound ends with a last packet whose duration is shorter than a frame. In Ogg Vorbis it ends at the
        position of the last page.
        """
        if self._part.keep is not None:
            return None
        rate = self.format.sample_rate
        base, duration = self._stream.time_base, self._stream.duration
        if self._is_ogg_vorbis():
            return round(duration * base * rate) if base is not None and duration else None
        first = self._first
        if not self.format.container.startswith("mov") or base is None or first is None:
            return None
        frame_length = self._stream.codec_context.frame_size or 0
        if self._packets_end is not None and round(self._last_duration * base * rate) < frame_length:
            return round((self._packets_end - (first.pts or 0)) * base * rate)
        return None if duration is None else round(duration * base * rate)

    def _note_once(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def silent(self) -> UnreadableInputError:
        """The error if nothing could be decoded."""
        if self._lost_packets:
            return UnreadableInputError(
                f"The audio in {self.path} cannot be decoded, it is damaged or encrypted: export or download it again."
            )
        return UnreadableInputError(
            f"{self.path} holds no sound, its track has zero samples: export or download it again."
        )

    def _unknown_codec(self) -> UnreadableInputError:
        return UnreadableInputError(
            f"The audio in {self.path} is encrypted or in a codec that is not known: export it as WAV or FLAC."
        )
