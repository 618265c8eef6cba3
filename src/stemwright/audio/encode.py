"""Blocks of samples in, one sound file out."""

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

# Rates that a lossy codec can hold, in Hz; vorbis and the lossless formats hold any. Opus works at 48 kHz inside, and
# decodes to that whatever went in.
CODEC_RATES: dict[str, tuple[int, ...]] = {
    "mp3": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000),
    "m4a": (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000),
    "opus": (48000,),
}


@dataclass(frozen=True)
class Tags:
    """What is written into a stem's file: its title is ``song (stem)``, its comment names the stem."""

    title: str | None
    artist: str | None
    album: str | None
    stem: str

    def fields(self) -> dict[str, str]:
        """The tags by the names that FFmpeg knows in every container."""
        fields = {
            "title": f"{self.title} ({self.stem})" if self.title else self.stem,
            "artist": self.artist,
            "album": self.album,
            "comment": f"Stem: {self.stem}",
        }
        # a title made of a file name may hold bytes that are no text, which Python keeps as lone surrogates
        return {key: value.encode(errors="replace").decode() for key, value in fields.items() if value}


class SampleWriter(Protocol):
    """Writes blocks into one container; every failure to write is a StorageError."""

    def write(self, block: NDArray[Any]) -> None:
        """Write ``(channels, samples)``: integers of the format's depth as int32, else float32."""
        ...

    def close(self) -> None:
        """Finish the file."""
        ...


class Encoder:
    """Encodes blocks ``(channels, samples)`` to ``path``, whose suffix does not matter: the format comes from ``fmt``.

    16 and 24-bit formats take int32 holding integers of that depth and write them bit for bit; 32-bit float and lossy
    formats take float32. Lossy formats record their delay, so that decoding gives the same length and no offset. Beyond
    full scale they clip: a gain against that is the caller's affair. Raises StorageError on opening, writing, closing.
    Leaving the context by an error closes the file and leaves it, unfinished, to the caller.
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
        """Write ``(channels, samples)`` of the dtype that the format takes."""
        if block.dtype != self._dtype:
            raise TypeError(f"this format takes {np.dtype(self._dtype)} blocks, not {block.dtype}")
        if self._resampler is not None:
            block = self._resampler.process(block)
        if block.shape[1]:
            self._writer.write(block)

    def close(self) -> None:
        """Write what is left and finish the file."""
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
        """Close the file as it is."""
        self._closed = True
        with contextlib.suppress(StorageError):  # the error that led here is the one to tell
            self._writer.close()


def nearest_rate(name: str, sample_rate: int) -> int:
    """The rate that the format holds nearest to ``sample_rate``, rather above it than below, in Hz."""
    rates = CODEC_RATES.get(name)
    if rates is None:
        return sample_rate
    return next((rate for rate in rates if rate >= sample_rate), rates[-1])
