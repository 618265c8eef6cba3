"""Sound files of one song at another speed and in another key, written together so that they stay in step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
from numpy.typing import NDArray

from stemwright.audio.decode import Decoder
from stemwright.audio.encode import Encoder, Tags
from stemwright.audio.formats import OutputFormat
from stemwright.audio.frame import Block
from stemwright.audio.in_step import in_step
from stemwright.audio.resample import Resampler
from stemwright.audio.stretch import Signals, stretched
from stemwright.speed_and_key import SpeedAndKey

FULL_SCALE = 1 << 23
SILENT_BLOCK = 65_536
FLAC = OutputFormat("flac", "flac", 24, None, lossless=True)
WAV = OutputFormat("wav", "wav", 32, None, lossless=True)


@dataclass(frozen=True)
class Part:
    """One file: where it is read, None for silence; where it is written; and its name in the tags."""

    source: Path | None
    out: Path
    name: str


def render(
    parts: Sequence[Part],
    *,
    sample_rate: int,
    channels: int,
    samples: int,
    wanted: SpeedAndKey,
    on_progress: Callable[[float], None],
) -> list[str]:
    """Writes the parts of a song at another speed and key, and returns the format of each: ``flac`` or ``wav``.

    They are changed by one time map, so they add up as before (``audio.stretch``), and each has exactly
    ``wanted.length(samples)`` samples. FLAC has 24 bits; a part that exceeds full scale is WAV with 32-bit floats.

    Args:
        sample_rate: of the output in Hz; sources at another rate are resampled.
        samples: length of the song; what is longer is cut, what is shorter is followed by silence.
        on_progress: called with the share that is done.

    Raises:
        UnreadableInputError: a source cannot be read.
        StorageError: a file cannot be written.
    """
    length = wanted.length(samples)
    with ExitStack() as stack:
        sources = [part.source for part in parts if part.source is not None]
        decoders = [stack.enter_context(Decoder(source)) for source in sources]
        writers = [stack.enter_context(_PartWriter(part, sample_rate, channels)) for part in parts]
        playing = [writer for writer, part in zip(writers, parts, strict=True) if part.source is not None]
        silent = [writer for writer in writers if writer not in playing]
        streams = [_at_rate(decoder, sample_rate, channels) for decoder in decoders]
        blocks = stretched(
            _whole(streams, channels, samples), sample_rate, speed=wanted.speed, semitones=wanted.semitones
        )
        done = 0
        for block in _of_length(blocks, len(playing), channels, length):
            for writer, signal in zip(playing, block, strict=True):
                writer.write(signal)
            silence = np.zeros((channels, block.shape[2]), np.float32)
            for writer in silent:
                writer.write(silence)
            done += block.shape[2]
            on_progress(done / max(1, length))
    return [writer.format for writer in writers]


class _PartWriter:
    """Writes FLAC until a sample exceeds full scale, and from then on all of it as WAV."""

    def __init__(self, part: Part, sample_rate: int, channels: int) -> None:
        self._out = part.out
        self._rate = sample_rate
        self._channels = channels
        self._tags = Tags(None, None, None, part.name)
        self._encoder = self._open(FLAC)
        self._written = 0
        self.format = FLAC.name

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._encoder.__exit__(kind, error, trace)

    def write(self, block: NDArray[np.float32]) -> None:
        """Writes ``(channels, samples)``."""
        if self.format == FLAC.name:
            scaled = np.rint(block * np.float32(FULL_SCALE))
            if not scaled.size or (scaled.max() < FULL_SCALE and scaled.min() >= -FULL_SCALE):
                self._encoder.write(scaled.astype(np.int32))
                self._written += block.shape[1]
                return
            self._turn_to_wav()
        self._encoder.write(block)

    def _turn_to_wav(self) -> None:
        self._encoder.close()
        so_far = self._out.with_name(f"{self._out.name}.flac")
        self._out.replace(so_far)
        try:
            self._encoder = self._open(WAV)
            self.format = WAV.name
            if self._written:
                with Decoder(so_far) as decoder:
                    for block in decoder:
                        self._encoder.write(block)
        finally:
            so_far.unlink()

    def _open(self, fmt: OutputFormat) -> Encoder:
        return Encoder(self._out, fmt, sample_rate=self._rate, channels=self._channels, tags=self._tags)


def _at_rate(decoder: Decoder, sample_rate: int, channels: int) -> Iterator[Block]:
    """The blocks of a decoder at another rate."""
    rate = decoder.format.sample_rate
    if rate == sample_rate:
        yield from decoder
        return
    resampler = Resampler(rate, sample_rate, decoder.format.channels)
    for block in decoder:
        yield resampler.process(block)
    yield resampler.process(np.zeros((decoder.format.channels, 0), np.float32), last=True)


def _whole(streams: Sequence[Iterator[Block]], channels: int, samples: int) -> Iterator[Signals]:
    """All streams in step, cut or followed by silence so that they have so many samples."""
    if streams:
        blocks = (np.stack(block) for block in in_step(streams, channels))
        yield from _of_length(blocks, len(streams), channels, samples)


def _of_length(blocks: Iterator[Signals], n_signals: int, channels: int, length: int) -> Iterator[Signals]:
    """Blocks that have so many samples together."""
    left = length
    for block in blocks:
        if min(left, block.shape[2]) > 0:
            yield block[:, :, :left]
            left -= min(left, block.shape[2])
    while left:
        n_silent = min(left, SILENT_BLOCK)
        yield np.zeros((n_signals, channels, n_silent), np.float32)
        left -= n_silent
