"""The samples of a task's stems, all of one length, read a segment at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stemwright.audio.encode import nearest_rate
from stemwright.audio.resample import resampled_length
from stemwright.audio.segments import SEEKABLE_FORMATS, segment_length
from stemwright.service.errors import Conflict, NotFound
from stemwright.service.preview_reader import PreviewReader
from stemwright.service.task import Stem, Task
from stemwright.storage.local_copies import LocalCopies


@dataclass(frozen=True)
class StemLength:
    """Sample rate in Hz, and samples of each stem's file."""

    sample_rate: int
    samples: int


def stem_length(task: Task) -> StemLength:
    """The rate and length of the stems of a task.

    Raises:
        Conflict: the task does not say how long its stems are.
    """
    rate, samples = task.facts.get("sample_rate"), task.facts.get("samples")
    if not rate or samples is None:
        raise Conflict("This separation does not say how long its stems are: separate the song again.")
    file_rate = nearest_rate(task.format, rate)
    return StemLength(file_rate, resampled_length(samples, rate, file_rate))


def check_stored(stems: Sequence[Stem], copies: LocalCopies) -> None:
    """Raises NotFound if the file of a stem is gone."""
    for stem in stems:
        if not copies.exists(stem.blob):
            raise NotFound(f"The file of the stem '{stem.name}' is gone; separate the song again.")


def stem_segments(
    task: Task, stem: Stem, length: StemLength, channels: int, copies: LocalCopies, previews: PreviewReader
) -> Iterator[NDArray[np.float32]]:
    """A stem as ``(samples, channels)``, segment after segment, exactly as long as ``length`` says.

    A lossy stem may be some samples shorter; what is missing is silence.
    """
    seekable = task.format in SEEKABLE_FORMATS
    size = segment_length(length.sample_rate)
    with copies.file(stem.blob) as path:
        for index in range(-(-length.samples // size)):
            wanted = min(size, length.samples - index * size)
            block = np.zeros((wanted, channels), np.float32)
            try:
                samples = previews.samples(path, index, seekable=seekable)[:wanted]
            except NotFound:
                samples = block[:0]
            block[: len(samples)] = samples  # mono fills both channels
            yield block


def silent_segments(length: StemLength) -> Iterator[NDArray[np.float32]]:
    """Silence in stereo, ``(samples, 2)``, in the same segments."""
    size = segment_length(length.sample_rate)
    for start in range(0, length.samples, size):
        yield np.zeros((min(size, length.samples - start), 2), np.float32)
