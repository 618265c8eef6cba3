"""Mixes the stems of a task down to one WAV file, as the faders of a mixer say, while it is sent."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stemwright.audio.encode import nearest_rate
from stemwright.audio.resample import resampled_length
from stemwright.audio.segments import SEEKABLE_FORMATS, segment_length
from stemwright.service.errors import Conflict, InvalidRequest, NotFound
from stemwright.service.preview_reader import PreviewReader
from stemwright.service.task import Task
from stemwright.storage.local_copies import LocalCopies

MAX_WAV_BYTES = (1 << 32) - 1
HEADER = struct.Struct("<4sI4s 4sIHHIIHHH 4sII 4sI")
FLOAT_FORMAT = 3
SAMPLE_BYTES = 4


@dataclass(frozen=True)
class Fader:
    """A strip of the mixer: a factor, and a place from -1 (left) to 1 (right)."""

    gain: float = 1.0
    pan: float = 0.0

    def matrix(self) -> NDArray[np.float32]:
        """``(2, 2)``, from left and right to left and right: the StereoPannerNode of Web Audio, for stereo input."""
        angle = (self.pan + 1 if self.pan <= 0 else self.pan) * math.pi / 2
        low, high = math.cos(angle), math.sin(angle)
        if self.pan == 0:
            rows = [[1.0, 0.0], [0.0, 1.0]]
        elif self.pan < 0:
            rows = [[1.0, low], [0.0, high]]
        else:
            rows = [[low, 0.0], [high, 1.0]]
        return np.array(rows, np.float32) * np.float32(self.gain)


@dataclass(frozen=True)
class Mixdown:
    """A mix that is about to be sent: the size in bytes, and the bytes."""

    size_bytes: int
    content: Iterator[bytes]


def mix_down(
    task: Task, faders: Mapping[str, Fader], master: float, copies: LocalCopies, previews: PreviewReader
) -> Mixdown:
    """Mixes the stems of a task to a WAV file of 32-bit floats, in stereo, so that nothing clips.

    At unity it is the sum of the stems, which is the song where their format is lossless.

    Args:
        faders: by the names of stems; stems that are not named are at unity.
        master: a factor for all.

    Raises:
        InvalidRequest: no stem of the task has the name.
        Conflict: the task does not say how long its stems are, or they are too long for a WAV file.
        NotFound: the file of a stem is gone.
    """
    names = [stem.name for stem in task.stems]
    for name in faders:
        if name not in names:
            raise InvalidRequest("stem", f"The separation has no stem named '{name}': it has {', '.join(names)}.")
    rate, samples = task.facts.get("sample_rate"), task.facts.get("samples")
    if not rate or samples is None:
        raise Conflict("This separation does not say how long its stems are: separate the song again.")
    file_rate = nearest_rate(task.format, rate)
    n_samples = resampled_length(samples, rate, file_rate)
    size_bytes = HEADER.size + n_samples * 2 * SAMPLE_BYTES
    if size_bytes - 8 > MAX_WAV_BYTES:
        raise Conflict("The mix would have more than 4 GB, the most that a WAV file holds: download the stems.")
    heard = [stem for stem in task.stems if stem.present and faders.get(stem.name, Fader()).gain * master > 0]
    for stem in heard:
        if not copies.exists(stem.blob):
            raise NotFound(f"The file of the stem '{stem.name}' is gone; separate the song again.")

    def content() -> Iterator[bytes]:
        yield _header(file_rate, n_samples)
        length = segment_length(file_rate)
        with ExitStack() as files:
            parts = [
                (files.enter_context(copies.file(stem.blob)), faders.get(stem.name, Fader()).matrix()) for stem in heard
            ]
            for index in range(-(-n_samples // length)):
                mix = np.zeros((min(length, n_samples - index * length), 2), np.float64)
                for path, matrix in parts:
                    _add(mix, previews, path, index, matrix, seekable=task.format in SEEKABLE_FORMATS)
                yield (mix * master).astype("<f4").tobytes()

    return Mixdown(size_bytes, content())


def _add(
    mix: NDArray[np.float64],
    previews: PreviewReader,
    path: Path,
    index: int,
    matrix: NDArray[np.float32],
    *,
    seekable: bool,
) -> None:
    """Adds a segment of a stem to ``(samples, 2)``. A lossy stem may be some samples shorter than the song."""
    try:
        samples = previews.samples(path, index, seekable=seekable)[: len(mix)]
    except NotFound:
        return
    stereo = np.repeat(samples, 2, axis=1) if samples.shape[1] == 1 else samples
    mix[: len(stereo)] += stereo @ matrix.T


def _header(sample_rate: int, n_samples: int) -> bytes:
    """A WAV header for stereo floats: RIFF, fmt, fact and data chunks."""
    data_bytes = n_samples * 2 * SAMPLE_BYTES
    return HEADER.pack(
        b"RIFF",
        HEADER.size - 8 + data_bytes,
        b"WAVE",
        b"fmt ",
        18,
        FLOAT_FORMAT,
        2,
        sample_rate,
        sample_rate * 2 * SAMPLE_BYTES,
        2 * SAMPLE_BYTES,
        8 * SAMPLE_BYTES,
        0,
        b"fact",
        4,
        n_samples,
        b"data",
        data_bytes,
    )
