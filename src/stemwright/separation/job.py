"""One song on its way through both passes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from stemwright.audio.encode import Encoder
from stemwright.audio.formats import OutputFormat
from stemwright.models.engine import MaskEngine, WaveformEngine
from stemwright.separation.exactness import Rounding
from stemwright.separation.finishing import Finish, Sink, finish
from stemwright.separation.listening import listen, part_dtype, part_shape
from stemwright.separation.presence import Presence, judge
from stemwright.separation.progress import IsCancelled, OnProgress, Progress, Stage
from stemwright.separation.resources import check_room
from stemwright.separation.song_folder import Order
from stemwright.separation.source import FileSource, Source
from stemwright.separation.working_files import WorkingFiles
from stemwright.stems import Selection

LOSSY_KBPS = 256
"""What a lossy stem is reckoned with when room on the disk is checked and no bit rate was given."""


@dataclass(frozen=True)
class Encoded:
    """Whole files that wait for their final names.

    Attributes:
        finish: account of what was written.
        rounding: how, and with which gain.
        files: one for each part.
        notes: what the format changed.
    """

    finish: Finish
    rounding: Rounding
    files: tuple[Path, ...]
    notes: tuple[str, ...]


@dataclass
class Job:
    """One song on its way through both passes."""

    engine: MaskEngine | WaveformEngine
    source: Source
    selection: Selection
    threads: int
    on_progress: OnProgress | None
    is_cancelled: IsCancelled | None
    _fraction: float = 0.0

    def working_files(self, folder: Path, recipe: Order, *, resume: bool) -> WorkingFiles:
        """Opens the working files for this song and engine."""
        shape = part_shape(self.engine, self.selection, self.source.channels)
        return WorkingFiles(folder, recipe, part_shape=shape, part_dtype=part_dtype(self.engine), resume=resume)

    def check_room(self, folder: Path, fmt: OutputFormat) -> None:
        """Both passes' files lie on the disk together at the end."""
        seconds = self.source.expected_s
        if seconds is None:
            return
        rows_per_s = self.engine.sample_rate / (self.engine.hop if isinstance(self.engine, MaskEngine) else 1)
        shape = part_shape(self.engine, self.selection, self.source.channels)
        working = rows_per_s * int(np.prod(shape)) * np.dtype(part_dtype(self.engine)).itemsize
        if fmt.bit_depth:
            written = self.source.sample_rate * self.source.channels * fmt.bit_depth / 8
        else:
            written = (fmt.bitrate_kbps or LOSSY_KBPS) * 125.0
        check_room(folder, int(seconds * (working + written * len(self.selection.parts))))

    def listen(self, work: WorkingFiles) -> Presence:
        """The first pass, and what the whole song says about presence."""
        listen(
            self.source,
            self.engine,
            self.selection,
            work,
            on_seconds=lambda seconds: self._tell("separating", seconds),
            is_cancelled=self._cancelled,
        )
        return judge(work.levels, len(self.selection.parts))

    def finish(self, work: WorkingFiles, presence: Presence, sinks: Sequence[Sink], rounding: Rounding) -> Finish:
        """The second pass into the given sinks."""
        return finish(
            self.source,
            self.engine,
            work.parts,
            presence,
            sinks,
            rounding,
            threads=self.threads,
            on_seconds=lambda seconds: self._tell("writing", seconds),
            is_cancelled=self._cancelled,
        )

    def encode(self, song: FileSource, work: WorkingFiles, presence: Presence, fmt: OutputFormat) -> Encoded:
        """The second pass into files, run again with a common gain where a part left full scale."""
        files = tuple(work.stems / f"{part.name}.{fmt.extension}" for part in self.selection.parts)
        rounding = Rounding(fmt.bit_depth if fmt.bit_depth in (16, 24) else None, limited=fmt.bit_depth != 32)
        shape = {"sample_rate": song.sample_rate, "channels": song.channels}
        while True:
            with ExitStack() as stack:
                encoders = [
                    stack.enter_context(Encoder(file, fmt, **shape, tags=song.tags(part.name)))
                    for part, file in zip(self.selection.parts, files, strict=True)
                ]
                done = self.finish(work, presence, encoders, rounding)
            if not done.exceeded:
                notes = dict.fromkeys(note for encoder in encoders for note in encoder.notes)
                return Encoded(done, rounding, files, tuple(notes))
            rounding = replace(rounding, gain=rounding.gain * rounding.ceiling / done.peak)

    def _cancelled(self) -> bool:
        return self.is_cancelled is not None and self.is_cancelled()

    def _tell(self, stage: Stage, done_s: float) -> None:
        if self.on_progress is None:
            return
        total_s = self.source.expected_s
        fraction = None
        if total_s:
            share = min(1.0, done_s / total_s) / 2
            # a second writing pass, with a gain, must not make the bar go back
            self._fraction = max(self._fraction, share + (0.5 if stage == "writing" else 0.0))
            fraction = self._fraction
        self.on_progress(Progress(stage, done_s, total_s, fraction))
