"""Encodes blocks of samples to a file."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from stemwright.audio.formats import OutputFormat
from stemwright.audio.resample import Resampler
from stemwright.errors import StorageError

# Sample rates of lossy codecs in Hz; vorbis and the lossless formats support any. Opus runs at 48 kHz internally and
# always decodes to that.
CODEC_RATES: dict[str, tuple[int, ...]] = {
    "mp3": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
    "m4a": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000),
    "opus": (48000,),
}


@dataclass(frozen=True)
class Tags:
    """Tags of a stem's file: the title is ``song (stem)``, the comment is the name of the stem."""

    title: str | None
    artist: str | None
    album: str | None
    stem: str

    def fields(self) -> dict[str, str]:
        """The tags under FFmpeg's generic names."""
        fields = {
            "title": f"{self.title} ({self.stem})" if self.title else self.stem,
            "artist": self.artist,
            "album": self.album,
            "comment": f"Stem: {self.stem}",
        }
        # a title from a file name may contain undecodable bytes, which Python keeps as lone surrogates
        return {key: value.encode(errors="replace").decode() for key, value in fields.items() if value}


class SampleWriter(Protocol):
    """Writes blocks to one container; write errors raise StorageError."""

    def write(self, block: NDArray[Any]) -> None:
        """Writes ``(channels, samples)``: int32 with values of the format's bit depth, else float32."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


class Encoder:
    """Encodes blocks ``(channels, samples)`` to ``path`` in the format ``fmt``; the suffix is ignored.

    16 and 24-bit formats take int32 with values of that depth and write them bit for bit; 32-bit float and lossy
    formats take float32. Lossy formats store their delay, so decoding gives the same length without offset. They clip
    beyond full scale; the caller applies a gain if needed. Raises StorageError on opening, writing and closing.
    An exception in the context closes the file unfinished; the caller removes it.
    """

    def __init__(self, path: Path, fmt: OutputFormat, *, sample_rate: int, channels: int, tags: Tags) -> None:
        self.notes: tuple[str, ...] = ()
        self._resampler: Resampler | None = None
        self._closed = False
        self._dtype = np.int32 if fmt.bit_depth in (16, 24) else np.float32
        file_rate = nearest_rate(fmt.name, sample_rate)
        if file_rate != sample_rate:
            self._resampler = Resampler(sample_rate, file_rate, channels)
            self._channels = channels
            self.notes = (f"{fmt.name} has no {sample_rate} Hz: written at {file_rate} Hz.",)
        self._writer: SampleWriter
        if fmt.name == "ogg":
            from stemwright.audio.vorbis_writer import VorbisWriter

            self._writer = VorbisWriter(path, fmt, file_rate, channels, tags.fields())
        else:
            from stemwright.audio.ffmpeg_writer import FFmpegWriter

            self._writer = FFmpegWriter(path, fmt, file_rate, channels, tags.fields())

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None:
            self.close()
        else:
            self.abort()

    def write(self, block: NDArray[Any]) -> None:
        """Writes ``(channels, samples)`` in the dtype of the format."""
        if block.dtype != self._dtype:
            raise TypeError(f"this format takes {np.dtype(self._dtype)} blocks, not {block.dtype}")
        if self._resampler is not None:
            block = self._resampler.process(block)
        if block.shape[1]:
            self._writer.write(block)

    def close(self) -> None:
        """Writes the remaining samples and finishes the file."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._resampler is not None:
                rest = self._resampler.process(np.zeros((self._channels, 0), np.float32), last=True)
                if rest.shape[1]:
                    self._writer.write(rest)
        finally:
            self._writer.close()

    def abort(self) -> None:
        """Closes the file unfinished."""
        self._closed = True
        with contextlib.suppress(StorageError):  # the original error is the one to report
            self._writer.close()


def nearest_rate(name: str, sample_rate: int) -> int:
    """The supported rate of the format nearest to ``sample_rate`` in Hz, preferably above it."""
    rates = CODEC_RATES.get(name)
    if rates is None:
        return sample_rate
    return next((rate for rate in rates if rate >= sample_rate), rates[-1])
