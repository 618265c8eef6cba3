"""Mixes the stems of a task down to one WAV file, as the faders of a mixer say, while it is sent."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stemwright.audio.wave_header import SAMPLE_BYTES, float_wave_header
from stemwright.service.errors import Conflict, InvalidRequest
from stemwright.service.preview_reader import PreviewReader
from stemwright.service.stem_samples import check_stored, silent_segments, stem_length, stem_segments
from stemwright.service.task import Task
from stemwright.storage.local_copies import LocalCopies


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
    length = stem_length(task)
    try:
        header = float_wave_header(length.sample_rate, 2, length.samples)
    except ValueError as error:
        raise Conflict(
            "The mix would have more than 4 GB, the most that a WAV file holds: download the stems."
        ) from error
    heard = [stem for stem in task.stems if stem.present and faders.get(stem.name, Fader()).gain * master > 0]
    check_stored(heard, copies)

    def content() -> Iterator[bytes]:
        yield header
        matrices = [faders.get(stem.name, Fader()).matrix() for stem in heard]
        silence = silent_segments(length)
        streams = [stem_segments(task, stem, length, 2, copies, previews) for stem in heard]
        for blocks in zip(silence, *streams, strict=True):
            mix = blocks[0].astype(np.float64)
            for block, matrix in zip(blocks[1:], matrices, strict=True):
                mix += block @ matrix.T
            yield (mix * master).astype("<f4").tobytes()

    size_bytes = len(header) + length.samples * 2 * SAMPLE_BYTES
    return Mixdown(size_bytes, content())
