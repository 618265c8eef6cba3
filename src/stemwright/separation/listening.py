"""The first pass: the engine hears the song chunk by chunk, and what it makes goes to the working files.

    source -> resample -> [STFT ->] chunks -> engine -> group -> overlap-add -> working files

Everything is a generator, so memory is set by the chunk and not by the song. Time is the first axis throughout.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from stemwright.audio.resample import Resampler
from stemwright.errors import CancelledError
from stemwright.models.engine import MaskEngine, WaveformEngine
from stemwright.separation.overlap_add import Chunk, OverlapAdd, chunks
from stemwright.separation.presence import SEGMENT_S, level_rows
from stemwright.separation.progress import IsCancelled
from stemwright.separation.source import Source
from stemwright.separation.stft import Analysis, Spectrum, Stft
from stemwright.separation.working_files import Rows, WorkingFiles
from stemwright.stems import Selection

Samples = NDArray[np.float32]
OnSeconds = Callable[[float], None]


def part_shape(engine: MaskEngine | WaveformEngine, selection: Selection, channels: int) -> tuple[int, ...]:
    """Shape of one row of the working file: ``(parts, channels[, bands])``."""
    shape = (len(selection.parts), channels)
    return (*shape, engine.bands.n_bands) if isinstance(engine, MaskEngine) else shape


def part_dtype(engine: MaskEngine | WaveformEngine) -> type[np.float16] | type[np.float32]:
    """Type of the working file: half floats hold a mask to one part in 2,048, 66 dB under the stem itself."""
    return np.float16 if isinstance(engine, MaskEngine) else np.float32


def listen(
    source: Source,
    engine: MaskEngine | WaveformEngine,
    selection: Selection,
    work: WorkingFiles,
    *,
    on_seconds: OnSeconds,
    is_cancelled: IsCancelled,
) -> None:
    """Fills the working files, from where an earlier run left them.

    Raises:
        CancelledError: ``is_cancelled`` said so; the working files hold what was done.
    """
    if work.state.complete:
        return
    hearing = _Masks(engine) if isinstance(engine, MaskEngine) else _Waveforms(engine)
    grouping = _grouping(engine.stems, selection)
    overlap_add = OverlapAdd(engine.chunk)
    per_segment = max(1, round(SEGMENT_S * hearing.units_per_s))
    for chunk in chunks(hearing.units(_at_engine_rate(source, engine.sample_rate)), engine.chunk):
        on_seconds(chunk.index * engine.chunk.stride / hearing.units_per_s)
        # The chunk before the first new one is heard again: the tail that it lays over its neighbour is not on disk.
        if chunk.index < work.state.n_chunks - 1:
            continue
        if is_cancelled():
            raise CancelledError("Cancelled; --resume takes it up where it stopped.")
        stems = hearing.hear(chunk)  # (units, stems, 2[, bands])
        parts = np.stack([stems[:, places].sum(axis=1) for places in grouping], axis=1)  # (units, parts, 2[, bands])
        if source.channels == 1:
            parts = parts.mean(axis=2, keepdims=True)
        final = overlap_add.add(chunk, parts).astype(part_dtype(engine))
        if chunk.index >= work.state.n_chunks:
            levels = level_rows(*hearing.energies(final, chunk), per_segment)
            work.add(final, levels, is_last=chunk.is_last)


def _grouping(stems: tuple[str, ...], selection: Selection) -> list[list[int]]:
    """For each part the places of the stems that it takes."""
    return [[stems.index(stem) for stem in part.sources if stem in stems] for part in selection.parts]


def _at_engine_rate(source: Source, rate: int) -> Iterator[Samples]:
    """The song in stereo at the engine's rate, in blocks ``(2, samples)``."""
    resampler = Resampler(source.sample_rate, rate, source.channels)
    for block in source.blocks():
        yield _stereo(resampler.process(block))
    yield _stereo(resampler.process(np.zeros((source.channels, 0), np.float32), last=True))


def _stereo(block: Samples) -> Samples:
    return np.broadcast_to(block, (2, block.shape[1]))


class _Masks:
    """How a mask engine hears: the units are frames."""

    def __init__(self, engine: MaskEngine) -> None:
        self._engine = engine
        self._stft = Stft(engine.bands.n_fft, engine.hop)
        self._widths = engine.bands.widths.astype(np.float32)
        self.units_per_s = engine.sample_rate / engine.hop

    def units(self, blocks: Iterator[Samples]) -> Iterator[Spectrum]:
        """Blocks of samples -> blocks of frames ``(frames, 2, bins)``."""
        analysis = Analysis(self._stft, channels=2)
        for block in blocks:
            yield analysis.push(block)
        yield analysis.finish()

    def hear(self, chunk: Chunk) -> Samples:
        """``(frames, stems, 2, bands)``."""
        return self._engine.masks(chunk.rows)

    def energies(self, final: Rows, chunk: Chunk) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Energy of each part ``(frames, parts)``, and of the mix ``(frames,)``."""
        spectrum = chunk.rows[: len(final)]
        power = self._engine.bands.pool(spectrum.real**2 + spectrum.imag**2) * self._widths  # (frames, 2, bands)
        if final.shape[2] == 1:
            power = power.mean(axis=1, keepdims=True)
        passed = np.square(final, dtype=np.float32)  # (frames, parts, channels, bands)
        passed *= power[:, np.newaxis]
        return passed.sum(axis=(2, 3), dtype=np.float64), power.sum(axis=(1, 2), dtype=np.float64)


class _Waveforms:
    """How a waveform engine hears: the units are samples."""

    def __init__(self, engine: WaveformEngine) -> None:
        self._engine = engine
        self.units_per_s = float(engine.sample_rate)

    def units(self, blocks: Iterator[Samples]) -> Iterator[Samples]:
        """Blocks ``(2, samples)`` -> ``(samples, 2)``."""
        for block in blocks:
            yield block.T  # (samples, 2)

    def hear(self, chunk: Chunk) -> Samples:
        """``(samples, stems, 2)``."""
        separated = self._engine.separate(np.ascontiguousarray(chunk.rows.T))  # (stems, 2, samples)
        return separated.transpose(2, 0, 1)  # (samples, stems, 2)

    def energies(self, final: Rows, chunk: Chunk) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Energy of each part ``(samples, parts)``, and of the mix ``(samples,)``."""
        mix = chunk.rows[: len(final), : final.shape[2]]
        parts = np.square(final, dtype=np.float64).sum(axis=2)
        return parts, np.square(mix, dtype=np.float64).sum(axis=1)
