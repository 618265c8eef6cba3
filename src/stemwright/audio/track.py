"""A file's first sound track, packet by packet: decoded, folded, mended where it is damaged, trimmed at its end."""

from __future__ import annotations

from collections import deque
from collections.abc import Generator, Iterator
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from stemwright.audio.fold import fold_matrix
from stemwright.audio.source import SourceFormat, open_sound, source_format
from stemwright.errors import UnreadableInputError

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

Block = NDArray[np.float32]

BLOCK_SAMPLES = 32768
# Kept back until the end of the file is seen: encoders pad the end by less than four frames of 2048 samples.
TAIL_SAMPLES = 8192
# A file "ends early" when more than this is missing: containers round their claims, and the delay of WMA counts in.
EARLY_END_S = 0.2
# A jump of the timestamps behind a damaged packet is believed up to here.
LONGEST_GAP_S = 30.0
# No recorder goes beyond it; what a header claims more would only take memory.
HIGHEST_RATE = 768_000
SKIP_MANUAL = 1 << 29  # AV_CODEC_FLAG2_SKIP_MANUAL: samples marked as padding are left in


class SoundTrack:
    """Decodes a file from its start to its end; raises UnreadableInputError.

    ``notes`` tells, once all blocks were read, what had to be changed or could not be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.notes: list[str] = []
        self._lost_packets = 0
        self._lost_samples = 0
        self._first_packet_sounds = False
        self._packets_end: int | None = None
        self._last_duration = 0
        self._container, self._stream = open_sound(path)
        try:
            codec = self._stream.codec_context
            if codec.name == "flac":
                codec.options = {"err_detect": "crccheck+explode"}  # else a damaged packet decodes to noise
            if self._is_ogg_vorbis():
                codec.flags2 |= SKIP_MANUAL  # FFmpeg drops up to a packet too much at the end of some streams
            self._frames = self._decode()
            self._first = next(self._frames, None)
            if self._first is None:
                raise self._silent()
            self.format: SourceFormat = source_format(path, self._container, self._stream, self._first)
            if self.format.sample_rate > HIGHEST_RATE:
                raise UnreadableInputError(
                    f"{path} has {self.format.sample_rate} samples a second, more than {HIGHEST_RATE}: convert it to 48000."
                )
        except BaseException:
            self._container.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._frames.close()
        self._container.close()

    def _is_ogg_vorbis(self) -> bool:
        return self._container.format.name == "ogg" and self._stream.codec_context.name == "vorbis"

    def blocks(self) -> Iterator[Block]:
        """The whole track, once: ``(channels, samples)`` float32, about ``BLOCK_SAMPLES`` long."""
        waiting: deque[Block] = deque()
        held = 0
        total = 0
        for block in self._mended():
            waiting.append(block)
            held += block.shape[1]
            total += block.shape[1]
            if held >= BLOCK_SAMPLES + TAIL_SAMPLES:
                joined = np.concatenate(waiting, axis=1)
                yield joined[:, :-TAIL_SAMPLES]
                waiting = deque([joined[:, -TAIL_SAMPLES:]])
                held = TAIL_SAMPLES
        length = self._true_length()
        padding = 0 if length is None else total - length
        joined = np.concatenate(waiting, axis=1) if waiting else np.zeros((self.format.channels, 0), np.float32)
        if 0 < padding <= held and padding <= TAIL_SAMPLES:
            total -= padding
            joined = joined[:, :-padding]
        self._conclude(total)
        if joined.shape[1]:
            yield joined

    def _decode(self) -> Generator[AudioFrame, None, None]:
        """Frames as they are; the length of packets that do not decode goes to ``_lost_samples``."""
        import av.error

        time_base = self._stream.time_base
        assert time_base is not None  # every stream that was demuxed has one
        packets = self._container.demux(self._stream)
        for number in count():
            try:
                packet = next(packets, None)
            except (av.error.FFmpegError, OSError):
                return  # a demuxer that gives up: what is missing shows in the length
            if packet is None:
                return
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

    def _mended(self) -> Iterator[Block]:
        """Frames as blocks, with silence in the place of what was lost between two of them."""
        first = self._first
        assert first is not None
        rate = self.format.sample_rate
        position = 0
        silence = 0
        # FFmpeg lets the first packet of Vorbis out, which only prepares the second, where it was told to drop nothing.
        early = to_drop = first.samples if self._is_ogg_vorbis() and self._first_packet_sounds else 0
        frame: AudioFrame | None = first
        while frame is not None:
            if frame.sample_rate != rate:
                raise UnreadableInputError(
                    f"The sample rate of {self.path} changes from {rate} to {frame.sample_rate} Hz at "
                    f"{position / rate:.1f} s: convert it to one rate first."
                )
            gap = self._gap(frame, first, early + position)
            if gap:
                silence += gap
                position += gap
                yield np.zeros((self.format.channels, gap), np.float32)
            block = self._fold(frame, to_float(frame))
            block, to_drop = block[:, to_drop:], 0
            block = self._finite(block, position)
            position += block.shape[1]
            yield block
            frame = next(self._frames, None)
        if silence:
            self.notes.append(f"Damaged parts of the file, {silence / rate:.2f} s in all, were replaced by silence.")

    def _gap(self, frame: AudioFrame, first: AudioFrame, position: int) -> int:
        """Samples of silence to put before ``frame``: as its timestamp says if that is fine, else what was lost.

        Timestamps are looked at behind damage only, since in whole files they can be wrong; but in FLAC every frame tells
        its own place, and FFmpeg leaves damaged ones out without a word.
        """
        lost, self._lost_samples = self._lost_samples, 0
        if frame.pts is None:  # it comes from the flush at the end: what is missing there is told as an early end
            return 0
        rate = self.format.sample_rate
        base = self._stream.time_base
        fine = frame is not first and base is not None and base * rate <= 1
        if base and first.pts is not None and fine and (lost or self.format.container == "flac"):
            gap = round((frame.pts - first.pts) * base * rate) - position
            if 0 <= gap <= LONGEST_GAP_S * rate:
                return gap
        return lost

    def _fold(self, frame: AudioFrame, samples: Block) -> Block:
        """``(file channels, samples)`` to ``(1 or 2, samples)``."""
        channels = self.format.channels
        if frame.layout.nb_channels != self.format.file_channels:
            self._note_once("The number of channels changes in the file: all was brought to that of its start.")
        if samples.shape[0] > 2:
            if channels == 2:
                self._note_once(
                    f"{frame.layout.nb_channels} channels ({frame.layout.name}) folded to stereo by ITU-R BS.775: "
                    "centre and surrounds at -3 dB, LFE left out, not normalised."
                )
            samples = fold_matrix([channel.name for channel in frame.layout.channels]) @ samples
        if samples.shape[0] == channels:
            return samples
        if channels == 2:
            return np.repeat(samples, 2, axis=0)
        mono: Block = samples.mean(axis=0, keepdims=True, dtype=np.float32)
        return mono

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
        self._note_once("Values that were not finite were replaced by silence.")  # a lossy decoder on damaged data
        return np.where(finite, block, np.float32(0))

    def _true_length(self) -> int | None:
        """Samples without the encoder's padding; None for what FFmpeg has trimmed already.

        In MP4, iTunSMPB counts them. Else a last packet that is marked as shorter than a frame ends where the sound
        ends, and otherwise the edit list does. In Ogg Vorbis the position of the last page does.
        """
        if self._is_ogg_vorbis():
            return round((self.format.duration_s or 0) * self.format.sample_rate) or None
        if not self.format.container.startswith("mov"):
            return None
        tags = {**self._container.metadata, **self._stream.metadata}
        fields = tags.get("iTunSMPB", "").split()
        if len(fields) >= 4:
            count = int(fields[3], 16)
            if count > 0:
                return count
        base = self._stream.time_base
        first = self._first
        if base is None or first is None:
            return None
        rate = self.format.sample_rate
        frame_length = self._stream.codec_context.frame_size or 0
        if self._packets_end is not None and round(self._last_duration * base * rate) < frame_length:
            return round((self._packets_end - (first.pts or 0)) * base * rate)
        if self._stream.duration is not None:
            return round(self._stream.duration * base * rate)
        return None

    def _conclude(self, total: int) -> None:
        """Tell of a file that ends before its header says; ``total`` in samples."""
        if total == 0:
            raise self._silent()
        read_s = total / self.format.sample_rate
        claimed_s = self.format.duration_s
        # Without a Xing header (which gives a start time) FFmpeg guesses an MP3's length from its bit rate.
        guessed = self.format.container == "aac" or (self.format.container == "mp3" and not self._stream.start_time)
        if claimed_s is not None and not guessed and claimed_s - read_s > EARLY_END_S:
            self.notes.append(f"The file ends early: {read_s:.1f} of {claimed_s:.1f} s could be read.")

    def _note_once(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def _silent(self) -> UnreadableInputError:
        if self._lost_packets:
            return UnreadableInputError(
                f"The sound in {self.path} cannot be decoded, it is damaged or encrypted: export or download it again."
            )
        return UnreadableInputError(
            f"{self.path} holds no sound, its track has zero samples: export or download it again."
        )

    def _unknown_codec(self) -> UnreadableInputError:
        return UnreadableInputError(
            f"The sound in {self.path} is encrypted or in a codec that is not known: export it as WAV or FLAC."
        )


def to_float(frame: AudioFrame) -> Block:
    """A decoded frame as ``(file channels, samples)`` float32; integers scaled by their own full scale, exactly."""
    raw = frame.to_ndarray()
    if not frame.format.is_planar:
        raw = raw.reshape(frame.samples, -1).T  # (1, samples * channels) to (channels, samples)
    if raw.dtype == np.float32:
        return np.ascontiguousarray(raw)
    if raw.dtype == np.float64:
        with np.errstate(over="ignore"):  # to infinity, which is refused further on
            return np.ascontiguousarray(raw.astype(np.float32))
    if raw.dtype == np.uint8:
        return np.ascontiguousarray((raw.astype(np.float32) - 128) / 128)
    # 24 bits come as 32 with eight zeros below: exact in float32.
    return np.ascontiguousarray(raw.astype(np.float32)) / np.float32(2 ** (8 * raw.dtype.itemsize - 1))
