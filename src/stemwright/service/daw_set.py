"""The stems as a set for a digital audio workstation: broadcast WAVs of one length, and a REAPER project that opens them."""

from __future__ import annotations

from collections.abc import Iterator

from zipstream import ZipStream  # type: ignore[import-untyped]

from stemwright.audio.wave_header import SAMPLE_BYTES, Broadcast, float_wave_header
from stemwright.service.errors import Conflict
from stemwright.service.preview_reader import PreviewReader
from stemwright.service.reaper_project import ReaperTrack, reaper_project
from stemwright.service.stem_samples import StemLength, check_stored, stem_length, stem_segments
from stemwright.service.task import Stem, Task
from stemwright.storage.local_copies import LocalCopies


def daw_set(task: Task, title: str, copies: LocalCopies, previews: PreviewReader) -> ZipStream:
    """A ZIP of one WAV of 32-bit floats for each stem that plays, all beginning at 0 and of one length, and a project.

    It is made while it is read; its size is known before.

    Args:
        title: of the song, safe as a file name.

    Raises:
        Conflict: the task does not say how long its stems are, or they are too long for a WAV file.
        NotFound: the file of a stem is gone.
    """
    length = stem_length(task)
    channels = 1 if task.facts.get("channels") == 1 else 2
    stems = [stem for stem in task.stems if stem.present] or task.stems
    check_stored(stems, copies)
    archive = ZipStream(sized=True)  # stored, not deflated: the length is known before
    tracks = []
    for number, stem in enumerate(stems, start=1):
        name = f"{number:02d} {stem.name}.wav"
        header = _header(length, channels, f"{title}: {stem.name}")
        size = len(header) + length.samples * channels * SAMPLE_BYTES
        archive.add(_wav(header, task, stem, length, channels, copies, previews), name, size=size)
        tracks.append(ReaperTrack(stem.name, name))
    archive.add(reaper_project(tracks, length.sample_rate, length.samples), f"{title}.rpp")
    return archive


def _header(length: StemLength, channels: int, description: str) -> bytes:
    try:
        return float_wave_header(length.sample_rate, channels, length.samples, Broadcast(description))
    except ValueError as error:
        raise Conflict(
            "A stem would have more than 4 GB, the most that a WAV file holds: download the stems as they are."
        ) from error


def _wav(
    header: bytes,
    task: Task,
    stem: Stem,
    length: StemLength,
    channels: int,
    copies: LocalCopies,
    previews: PreviewReader,
) -> Iterator[bytes]:
    yield header
    for block in stem_segments(task, stem, length, channels, copies, previews):
        yield block.astype("<f4").tobytes()
