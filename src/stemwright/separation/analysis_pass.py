"""The analysis pass: the first of two passes over a song. It runs the engines and fills the working files."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from stemwright.models.engine import MaskEngine
from stemwright.separation.chunk_runner import MaskRunner, run_chunks
from stemwright.separation.pass_output import MaskOutput, PassOutput
from stemwright.separation.playing_masks import PlayingMasks
from stemwright.separation.progress import IsCancelled, OnAdvance
from stemwright.separation.source import Source
from stemwright.separation.working_files import WorkingFiles
from stemwright.stems import Selection


class AnalysisPass(Protocol):
    """The engines that process a song: one mask engine, or a cascade of waveform engines."""

    work_share: float
    """Fraction of the total work; the rest is the render pass."""

    @property
    def models(self) -> tuple[str, ...]:
        """The models used, with the digests of their weights."""

    @property
    def notes(self) -> tuple[str, ...]:
        """Remarks for the user about this song, after the pass has run."""

    def bytes_per_s(self, channels: int) -> float:
        """Bytes of working files per second of song."""

    def run(
        self, source: Source, work: WorkingFiles, *, on_advance: OnAdvance, is_cancelled: IsCancelled
    ) -> PassOutput:
        """Runs the engines over the song, from where an earlier run stopped."""


class MaskPass:
    """An analysis pass with one mask engine."""

    work_share = 0.5
    notes = ()

    def __init__(self, engine: MaskEngine, selection: Selection) -> None:
        self._engine = engine if selection.playing is None else PlayingMasks(engine, selection.playing)
        self._outputs = [part.sources for part in selection.parts]
        self.models = (engine.name,)

    def bytes_per_s(self, channels: int) -> float:
        """One half float per frame, part, channel and band."""
        n_bytes = np.dtype(MaskRunner.dtype).itemsize * len(self._outputs) * channels * self._engine.bands.n_bands
        return n_bytes * self._engine.sample_rate / self._engine.hop

    def run(
        self, source: Source, work: WorkingFiles, *, on_advance: OnAdvance, is_cancelled: IsCancelled
    ) -> MaskOutput:
        """Runs the engine over the song, from where an earlier run stopped."""
        engine = self._engine
        runner = MaskRunner(engine, self._outputs, source.channels)
        files = work.step("masks", runner.row_shape, runner.dtype)

        def on_seconds(seconds: float) -> None:
            on_advance(seconds, seconds / source.expected_s if source.expected_s else 0.0)

        run_chunks(source, runner, files, on_seconds=on_seconds, is_cancelled=is_cancelled)
        levels = files.levels.read(0, files.levels.n_rows)
        return MaskOutput(files.outputs, levels, engine.bands, engine.hop, engine.sample_rate)
