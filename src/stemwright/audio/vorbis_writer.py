"""Writes Ogg Vorbis with libsndfile: its wheels include libvorbis, PyAV's only FFmpeg's weaker encoder."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from stemwright.audio.formats import OutputFormat
from stemwright.errors import StorageError, storage_error

QUALITY = 8.0
# libvorbis' nominal bit rates at qualities 0 to 10 for 44.1 kHz stereo, in kbps.
NOMINAL_KBPS = (64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 500)
PIECE = 4096  # samples: libvorbis puts each buffer on the stack


class VorbisWriter:
    """Writes Ogg Vorbis of constant quality."""

    def __init__(self, path: Path, fmt: OutputFormat, sample_rate: int, channels: int, tags: dict[str, str]) -> None:
        self._path = path
        quality = QUALITY
        if fmt.bitrate_kbps is not None:
            quality = float(np.interp(fmt.bitrate_kbps, NOMINAL_KBPS, range(11)))
        try:
            self._output = _Output(path)
        except OSError as error:
            raise storage_error(error, path) from error
        try:
            self._file = soundfile.SoundFile(
                self._output,
                "w",
                samplerate=sample_rate,
                channels=channels,
                format="OGG",
                subtype="VORBIS",
                compression_level=1 - quality / 10,
            )
            for name, value in tags.items():
                setattr(self._file, name, value)
        except soundfile.LibsndfileError as error:
            self._output.close()
            raise self._failed(error) from error

    def write(self, block: NDArray[Any]) -> None:
        """Write ``(channels, samples)`` float32."""
        frames = np.ascontiguousarray(block.T)  # (samples, channels)
        try:
            for start in range(0, len(frames), PIECE):
                self._file.write(frames[start : start + PIECE])
        except (soundfile.LibsndfileError, AssertionError) as error:  # soundfile asserts that all was written
            raise self._failed(error) from error
        self._check()

    def close(self) -> None:
        """Finish the stream."""
        try:
            self._file.close()
        except soundfile.LibsndfileError as error:
            raise self._failed(error) from error
        finally:
            self._output.close()
        self._check()

    def _check(self) -> None:
        if self._output.error is not None:
            raise storage_error(self._output.error, self._path) from self._output.error

    def _failed(self, error: Exception) -> StorageError:
        return storage_error(self._output.error or OSError(errno.EIO, str(error)), self._path)


class _Output:
    """The file that libsndfile writes to through callbacks, which must not raise: the first error is kept."""

    def __init__(self, path: Path) -> None:
        self.error: OSError | None = None
        self._file = path.open("wb")

    def write(self, data: bytes) -> int:
        try:
            return self._file.write(data)
        except OSError as error:
            self.error = self.error or error
            return 0

    def read(self, size: int) -> bytes:
        return b""

    def seek(self, offset: int, whence: int = 0) -> int:
        try:
            return self._file.seek(offset, whence)
        except OSError as error:
            self.error = self.error or error
            return -1

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        try:
            self._file.close()
        except OSError as error:
            self.error = self.error or error
