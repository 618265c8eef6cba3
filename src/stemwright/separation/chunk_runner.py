"""Runs an engine over a song chunk by chunk and writes its outputs to the working files.

    source -> resample -> [STFT ->] chunks -> engine -> outputs -> overlap-add -> working files

Everything is streamed, so memory depends on the chunk size, not on the song. Writing runs in parallel with the engine,
and for large networks decoding does too. Time is the first axis throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from stemwright.audio.resample import Resampler
from stemwright.errors import CancelledError, ModelUnavailableError
from stemwright.models.engine import ChunkSize, MaskEngine, WaveformEngine
from stemwright.separation.mix_limit import limit_to_mix
from stemwright.separation.overlap_add import Chunk, OverlapAdd, chunks
from stemwright.separation.prefetch import prefetched
from stemwright.separation.presence import SEGMENT_S, level_rows
from stemwright.separation.progress import IsCancelled
from stemwright.separation.source import Source
from stemwright.separation.stft import Analysis, Spectrum, Stft
from stemwright.separation.working_files import Rows, StepFiles

Samples = NDArray[np.float32]
Levels = NDArray[np.float64]
OnSeconds = Callable[[float], None]
Outputs = Sequence[Sequence[str]]
"""For each output, the stems of the engine that are summed for it."""

PREFETCH_BLOCKS = 16
"""Limit of decoded blocks that wait for the engine."""


class ChunkRunner(Protocol):
    """Runs one kind of engine: defines its units (samples or frames) and the outputs of a chunk."""

    size: ChunkSize
    sample_rate: int
    units_per_s: float
    batch: int
    dtype: type[np.floating[Any]]
    """Data type of the rows on disk."""
    prefetches: bool
    """Whether decoding runs in parallel with the engine, which is faster for large networks but costs memory."""

    def units(self, blocks: Iterator[Samples]) -> Iterator[Rows]:
        """Blocks ``(2, samples)`` at the engine's rate -> blocks of units, ``(units, ...)``."""

    def run(self, batch: Sequence[Chunk]) -> list[Rows]:
        """The outputs of each chunk, ``(units, outputs, channels[, bands])``."""

    def levels(self, final: Rows, chunk: Chunk) -> Levels | None:
        """Energies of the rows that a chunk completes (``presence.level_rows``), where presence needs them."""


def run_chunks(
    source: Source, runner: ChunkRunner, files: StepFiles, *, on_seconds: OnSeconds, is_cancelled: IsCancelled
) -> None:
    """Fills the files of a step, from where an earlier run stopped.

    Raises:
        CancelledError: ``is_cancelled`` returned true; the working files are kept.
    """
    if files.state.complete:
        return
    first_new = files.state.n_chunks
    overlap_add = OverlapAdd(runner.size)
    # closed here: a stored exception would otherwise keep the song open, and the thread that decodes it
    with ThreadPoolExecutor(1) as writer, closing(chunks_of(source, runner)) as stream:
        writing: Future[None] | None = None
        for batch in _batches(stream, runner.batch):
            on_seconds(batch[0].index * runner.size.stride / runner.units_per_s)
            # The chunk before the first new one is run again: its tail, which overlaps the new one, is not on disk.
            if batch[-1].index < first_new - 1:
                continue
            if is_cancelled():
                raise CancelledError("Cancelled; --resume continues where it stopped.")
            for chunk, rows in zip(batch, runner.run(batch), strict=True):
                final = overlap_add.add(chunk, rows).astype(runner.dtype, copy=False)
                if chunk.index < first_new:
                    continue
                if writing is not None:
                    writing.result()
                levels = runner.levels(final, chunk)
                writing = writer.submit(files.add, final, levels, is_last=chunk.is_last)
        if writing is not None:
            writing.result()


def chunks_of(source: Source, runner: ChunkRunner) -> Generator[Chunk, None, None]:
    """The chunks of a song for this kind of engine."""
    blocks = _at_rate(source, runner.sample_rate)
    if runner.prefetches:
        blocks = prefetched(blocks, PREFETCH_BLOCKS)
    return chunks(runner.units(blocks), runner.size)


class MaskRunner:
    """Runs a mask engine: the units are STFT frames, and the outputs are masks in bands."""

    batch = 1
    prefetches = False
    dtype = np.float16
    """Half floats have a relative error of 1 in 2,048, 66 dB below the stem."""

    def __init__(self, engine: MaskEngine, outputs: Outputs, channels: int) -> None:
        self._engine = engine
        self._indices = _stem_indices(engine.stems, outputs)
        self._stft = Stft(engine.bands.n_fft, engine.hop)
        self._widths = engine.bands.widths.astype(np.float32)
        self._channels = channels
        self.size = engine.chunk
        self.sample_rate = engine.sample_rate
        self.units_per_s = engine.sample_rate / engine.hop
        self.row_shape = (len(outputs), channels, engine.bands.n_bands)

    def units(self, blocks: Iterator[Samples]) -> Iterator[Spectrum]:
        """Blocks of samples -> blocks of frames ``(frames, 2, bins)``."""
        analysis = Analysis(self._stft, channels=2)
        for block in blocks:
            yield analysis.push(block)
        yield analysis.finish()

    def run(self, batch: Sequence[Chunk]) -> list[Rows]:
        """``(frames, outputs, channels, bands)`` of each chunk."""
        return [self._run(chunk) for chunk in batch]

    def _run(self, chunk: Chunk) -> Samples:
        masks = self._engine.masks(chunk.mirrored)  # (frames, stems, 2, bands)
        outputs = np.stack([masks[:, indices].sum(axis=1) for indices in self._indices], axis=1)
        return _folded(outputs, self._channels)

    def levels(self, final: Rows, chunk: Chunk) -> Levels:
        """Level rows ``(segments, outputs + 2)``: the energy of the song, and the share that each mask passes.

        Bands of a frame are weighted by the square root of their energy; with energies a few loud low bands would
        dominate. On recordings the area under the ROC curve is 0.868 with roots and 0.859 with energies.
        """
        spectrum = chunk.rows[: len(final)]
        power = self._engine.bands.pool(spectrum.real**2 + spectrum.imag**2) * self._widths  # (frames, 2, bands)
        if self._channels == 1:
            power = power.mean(axis=1, keepdims=True)
        power = power.reshape(len(power), -1)  # (frames, channels * bands)
        magnitude = np.sqrt(power)
        gains = np.square(final, dtype=np.float32).reshape(*final.shape[:2], -1)  # (frames, outputs, channels * bands)
        passed = np.matmul(gains, magnitude[..., np.newaxis])[..., 0]  # (frames, outputs)
        shares = passed / np.maximum(magnitude.sum(axis=1, keepdims=True), np.float32(1e-12))
        energy = power.sum(axis=1, dtype=np.float64)
        per_segment = max(1, round(SEGMENT_S * self.units_per_s))
        return level_rows(shares * energy[:, np.newaxis], energy, per_segment)


class WaveformRunner:
    """Runs a waveform engine: the units are samples, and the last output is the song less all others."""

    prefetches = True
    dtype = np.float32

    def __init__(self, engine: WaveformEngine, outputs: Outputs, channels: int) -> None:
        self._engine = engine
        self._indices = _stem_indices(engine.stems, outputs)
        self._channels = channels
        self.batch = engine.batch
        self.size = engine.chunk
        self.sample_rate = engine.sample_rate
        self.units_per_s = float(engine.sample_rate)

    def units(self, blocks: Iterator[Samples]) -> Iterator[Samples]:
        """Blocks ``(2, samples)`` -> ``(samples, 2)``."""
        for block in blocks:
            yield block.T  # (samples, 2)

    def run(self, batch: Sequence[Chunk]) -> list[Rows]:
        """``(samples, outputs + 1, channels)`` of each chunk."""
        songs = np.stack([chunk.rows.T for chunk in batch])  # (batch, 2, samples)
        return [self._outputs(song, stems) for song, stems in zip(songs, self._engine.separate(songs), strict=True)]

    def _outputs(self, song: Samples, stems: Samples) -> Samples:
        """``(2, samples)`` and ``(stems, 2, samples)`` -> ``(samples, outputs + 1, channels)``."""
        outputs = np.stack([stems[indices].sum(axis=0) for indices in self._indices])
        if self._engine.overlapping:
            outputs = limit_to_mix(outputs, song)
        remainder = song - outputs.sum(axis=0)
        if not np.isfinite(remainder).all():
            raise ModelUnavailableError(
                f"{self._engine.name} gives NaN or infinity: its weights are damaged, or it needs "
                "STEMWRIGHT_PRECISION=float32."
            )
        rows = np.concatenate([outputs, remainder[np.newaxis]])
        return _folded(rows.transpose(2, 0, 1), self._channels)  # (samples, outputs + 1, 2)

    def levels(self, final: Rows, chunk: Chunk) -> None:
        """None: presence is scored once all steps of a plan are done."""
        return


def _stem_indices(stems: Sequence[str], outputs: Outputs) -> list[list[int]]:
    """For each output, the indices of the stems that are summed for it."""
    return [[stems.index(stem) for stem in sources if stem in stems] for sources in outputs]


def _folded(rows: Samples, channels: int) -> Samples:
    """``(units, outputs, 2, ...)`` -> ``(units, outputs, channels, ...)``: both channels of a mono song are the same."""
    return rows.mean(axis=2, keepdims=True) if channels == 1 else rows


def _batches(stream: Iterable[Chunk], size: int) -> Iterator[list[Chunk]]:
    """Groups of ``size`` chunks. They do not depend on where a run started, so a resumed run gives the same bytes."""
    batch: list[Chunk] = []
    for chunk in stream:
        batch.append(chunk)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _at_rate(source: Source, rate: int) -> Iterator[Samples]:
    """The song in stereo at an engine's rate, in blocks ``(2, samples)``."""

    def blocks() -> Iterator[Samples]:
        resampler = Resampler(source.sample_rate, rate, source.channels)
        for block in source.blocks():
            yield _stereo(resampler.process(block))
        yield _stereo(resampler.process(np.zeros((source.channels, 0), np.float32), last=True))

    return blocks()


def _stereo(block: Samples) -> Samples:
    return np.broadcast_to(block, (2, block.shape[1]))
