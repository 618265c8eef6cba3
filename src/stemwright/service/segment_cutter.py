"""Cuts short lossless segments from sound files. They abut: laid end to end they are the file, to the sample.

Segments are cut when they are asked for: five seconds of stereo take 6 ms to encode, less than it takes to store them.
Stems in WAV, FLAC and AIFF are read from the place that is asked for. All other files are decoded from their start,
since lossy codecs do not give the same samples after a seek; the decoder then stays open for the next segment.
"""

from __future__ import annotations

import io
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from stemwright.audio.decode import Decoder
from stemwright.audio.segments import segment_length
from stemwright.errors import UnreadableInputError

Samples = NDArray[np.float32]

OPEN_DECODERS = 14
"""Twelve stems, the song, and one more."""

HIGHEST_FLAC_RATE_HZ = 655_350
FLAC_EFFORT = 0.5
"""Of libFLAC's scale from 0 to 1: as fast as the lowest, and a quarter smaller."""


class NoSuchSegment(Exception):
    """The index is beyond the end of the file."""


@dataclass(frozen=True)
class Segment:
    """One segment as a file of its own: FLAC, or WAV where its samples do not fit into 24 bits."""

    content: bytes
    media_type: str


@dataclass
class _OpenDecoder:
    """A decoder, and what it has decoded beyond the last segment."""

    decoder: Decoder
    position: int = 0
    rest: list[Samples] = field(default_factory=list)

    def read(self, start: int, end: int) -> Samples:
        """``(channels, samples)`` from ``start`` to ``end``, which may not lie before the last read."""
        blocks, n_samples = [], 0
        for block in self._blocks():
            first, last = max(0, start - self.position), max(0, end - self.position)
            self.position += min(last, block.shape[1])
            if (taken := block[:, first:last]).shape[1]:
                blocks.append(taken)
                n_samples += taken.shape[1]
            if last < block.shape[1]:
                self.rest = [block[:, last:]]
                break
            if self.position == end:
                break
        return np.concatenate(blocks, axis=1) if blocks else np.zeros((1, 0), np.float32)

    def _blocks(self) -> Iterator[Samples]:
        rest, self.rest = self.rest, []
        yield from rest
        # not "yield from", which closes the decoder when the caller stops reading
        for block in self.decoder:  # noqa: UP028
            yield block


class SegmentCutter:
    """Cuts segments, and keeps decoders open between them. Not thread-safe."""

    def __init__(self) -> None:
        self._open: OrderedDict[Path, _OpenDecoder] = OrderedDict()

    def cut(self, path: Path, index: int, *, seekable: bool, is_short: bool = False) -> Segment:
        """Segment ``index`` of a file, from 0, as a file of its own.

        Args:
            seekable: the file was written by Stemwright as WAV, FLAC or AIFF, so it can be read from any place.
            is_short: of the short ones, which have numbers of their own.

        Raises:
            NoSuchSegment: the file has no segment of that index.
            UnreadableInputError: the file cannot be read.
        """
        values, sample_rate = self.samples(path, index, seekable=seekable, is_short=is_short)
        return _encode_floats(values, sample_rate)

    def samples(self, path: Path, index: int, *, seekable: bool, is_short: bool = False) -> tuple[Samples, int]:
        """Segment ``index`` of a file as ``(samples, channels)``, and its rate in Hz. Errors as for ``cut``."""
        values, sample_rate = (self._read_at if seekable else self._decode)(path, index, is_short)
        if not len(values):
            raise NoSuchSegment
        return values, sample_rate

    @staticmethod
    def _read_at(path: Path, index: int, is_short: bool) -> tuple[Samples, int]:
        try:
            with soundfile.SoundFile(str(path)) as file:
                length = segment_length(file.samplerate, is_short=is_short)
                if index * length >= file.frames:
                    raise NoSuchSegment
                file.seek(index * length)
                # Floats hold integers of up to 24 bits exactly.
                return file.read(length, dtype="float32", always_2d=True), file.samplerate
        except soundfile.LibsndfileError as error:
            raise UnreadableInputError(f"{path} cannot be read: make it again.") from error

    def _decode(self, path: Path, index: int, is_short: bool) -> tuple[Samples, int]:
        opened = self._open.pop(path, None)
        if opened is None:
            opened = _OpenDecoder(Decoder(path))
        decoder = opened.decoder
        length = segment_length(decoder.format.sample_rate, is_short=is_short)
        start = index * length
        if opened.position > start:
            decoder.close()
            decoder = Decoder(path)
            opened = _OpenDecoder(decoder)
        try:
            samples = opened.read(start, start + length)
        except BaseException:
            decoder.close()
            raise
        self._open[path] = opened
        while len(self._open) > OPEN_DECODERS:
            self._open.popitem(last=False)[1].decoder.close()
        return samples.T, decoder.format.sample_rate


def _encode_floats(values: NDArray[np.float32], sample_rate: int) -> Segment:
    """``(samples, channels)`` as 24-bit FLAC, or as float WAV where they exceed full scale."""
    scaled = np.rint(values.astype(np.float64) * (1 << 23))
    if scaled.size and (scaled.max() >= 1 << 23 or scaled.min() < -(1 << 23)):
        return _encode(values, sample_rate)
    return _encode(scaled.astype(np.int32) << 8, sample_rate)


def _encode(values: NDArray[np.int32] | Samples, sample_rate: int) -> Segment:
    """``(samples, channels)`` as a file: 24-bit FLAC for integers (in the upper bits) up to 655 kHz, else WAV.

    Samples of 16 bits are 24 too, since Chromium scales positive samples of 16 bits by 1/32767 and negative ones by
    1/32768. It costs nothing: FLAC does not store bits that are zero in a whole block.
    """
    content = io.BytesIO()
    is_float = values.dtype == np.float32
    if is_float or sample_rate > HIGHEST_FLAC_RATE_HZ:
        soundfile.write(content, values, sample_rate, format="WAV", subtype="FLOAT" if is_float else "PCM_24")
        return Segment(content.getvalue(), "audio/wav")
    soundfile.write(content, values, sample_rate, format="FLAC", subtype="PCM_24", compression_level=FLAC_EFFORT)
    return Segment(content.getvalue(), "audio/flac")
