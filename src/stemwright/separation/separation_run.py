"""One song on its way through both passes."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from stemwright.audio.encode import Encoder
from stemwright.audio.formats import OutputFormat
from stemwright.models.engine import MaskEngine
from stemwright.separation.cascade import OnHeard
from stemwright.separation.chunk_runner import Masks, listen
from stemwright.separation.pass_output import Heard, HeardMasks
from stemwright.separation.presence import Presence, judge
from stemwright.separation.progress import IsCancelled, OnProgress, Progress, Stage
from stemwright.separation.quantization import Rounding
from stemwright.separation.render_pass import Finish, Sink, finish
from stemwright.separation.resources import check_room
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


class FirstPass(Protocol):
    """What hears a song: a mask engine, or a cascade of waveform engines."""

    share: float
    """Of the whole work, the second pass with it."""

    @property
    def models(self) -> tuple[str, ...]:
        """The models that take part, with the digest of their weights."""

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know of this song, once it was heard."""

    def bytes_per_s(self, channels: int) -> float:
        """Disk that the working files of a second of song take."""

    def run(self, source: Source, work: WorkingFiles, *, on_heard: OnHeard, is_cancelled: IsCancelled) -> Heard:
        """Hears the song, from where an earlier run left it."""


class MaskPass:
    """One mask engine."""

    share = 0.5
    notes = ()

    def __init__(self, engine: MaskEngine, selection: Selection) -> None:
        self._engine = engine
        self._outputs = [part.sources for part in selection.parts]
        self.models = (engine.name,)

    def bytes_per_s(self, channels: int) -> float:
        """Half floats in bands, frame by frame."""
        n_bytes = np.dtype(Masks.dtype).itemsize * len(self._outputs) * channels * self._engine.bands.n_bands
        return n_bytes * self._engine.sample_rate / self._engine.hop

    def run(self, source: Source, work: WorkingFiles, *, on_heard: OnHeard, is_cancelled: IsCancelled) -> HeardMasks:
        """Hears the song, from where an earlier run left it."""
        engine = self._engine
        hearing = Masks(engine, self._outputs, source.channels)
        files = work.step("masks", hearing.row_shape, hearing.dtype)

        def tell(seconds: float) -> None:
            on_heard(seconds, seconds / source.expected_s if source.expected_s else 0.0)

        listen(source, hearing, files, on_seconds=tell, is_cancelled=is_cancelled)
        levels = files.levels.read(0, files.levels.n_rows)
        return HeardMasks(files.outputs, levels, engine.bands, engine.hop, engine.sample_rate)


@dataclass
class Job:
    """One song on its way through both passes."""

    first_pass: FirstPass
    source: Source
    selection: Selection
    threads: int
    on_progress: OnProgress | None
    is_cancelled: IsCancelled | None
    _fraction: float = 0.0
    _done: dict[Stage, float] = field(default_factory=dict)

    def check_room(self, folder: Path, fmt: OutputFormat) -> None:
        """Both passes' files lie on the disk together at the end."""
        seconds = self.source.expected_s
        if seconds is None:
            return
        working = self.first_pass.bytes_per_s(self.source.channels)
        if fmt.bit_depth:
            written = self.source.sample_rate * self.source.channels * fmt.bit_depth / 8
        else:
            written = (fmt.bitrate_kbps or LOSSY_KBPS) * 125.0
        check_room(folder, int(seconds * (working + written * len(self.selection.parts))))

    def listen(self, work: WorkingFiles) -> tuple[Heard, Presence]:
        """The first pass, and what the whole song says about presence."""
        heard = self.first_pass.run(
            self.source,
            work,
            on_heard=lambda seconds, share: self._tell("separating", seconds, share),
            is_cancelled=self._cancelled,
        )
        return heard, judge(heard.levels)

    def finish(self, heard: Heard, presence: Presence, sinks: Sequence[Sink], rounding: Rounding) -> Finish:
        """The second pass into the given sinks."""

        def tell(seconds: float) -> None:
            length = self.source.expected_s
            self._tell("writing", seconds, min(1.0, seconds / length) if length else 0.0)

        return finish(
            self.source,
            heard,
            presence,
            sinks,
            rounding,
            threads=self.threads,
            on_seconds=tell,
            is_cancelled=self._cancelled,
        )

    def encode(self, song: FileSource, heard: Heard, presence: Presence, folder: Path, fmt: OutputFormat) -> Encoded:
        """The second pass into files, run again with a common gain where a part left full scale."""
        files = tuple(folder / f"{part.name}.{fmt.extension}" for part in self.selection.parts)
        rounding = Rounding(fmt.bit_depth if fmt.bit_depth in (16, 24) else None, limited=fmt.bit_depth != 32)
        shape = {"sample_rate": song.sample_rate, "channels": song.channels}
        while True:
            with ExitStack() as stack:
                encoders = [
                    stack.enter_context(Encoder(file, fmt, **shape, tags=song.tags(part.name)))
                    for part, file in zip(self.selection.parts, files, strict=True)
                ]
                done = self.finish(heard, presence, encoders, rounding)
            if not done.exceeded:
                notes = dict.fromkeys(note for encoder in encoders for note in encoder.notes)
                return Encoded(done, rounding, files, tuple(notes))
            rounding = replace(rounding, gain=rounding.gain * rounding.ceiling / done.peak)

    def _cancelled(self) -> bool:
        return self.is_cancelled is not None and self.is_cancelled()

    def _tell(self, stage: Stage, done_s: float, share: float) -> None:
        if self.on_progress is None:
            return
        total_s = self.source.expected_s
        fraction = None
        # A second writing pass, with a gain, must not make the bar go back, nor a length that is known at last.
        done_s = self._done[stage] = max(self._done.get(stage, 0.0), done_s)
        if total_s:
            first = self.first_pass.share
            done = share * first if stage == "separating" else first + share * (1 - first)
            fraction = self._fraction = max(self._fraction, min(1.0, done))
        self.on_progress(Progress(stage, done_s, total_s, fraction))
