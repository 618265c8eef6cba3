"""The result of the analysis pass for the render pass: masks of the song, or samples of its parts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from stemwright.models.bands import BandLayout
from stemwright.separation.presence import SEGMENT_S, level_rows
from stemwright.separation.working_files import RowFile

Samples = NDArray[np.float32]
Levels = NDArray[np.float64]

BLOCK = 65_536
"""Samples read per call: 1.5 s at 44.1 kHz."""


@dataclass(frozen=True)
class MaskOutput:
    """Masks in bands, ``(frames, parts, channels, bands)``, of the song at the engine's rate.

    Attributes:
        rows: the masks.
        levels: energies from which presence is scored, ``(segments, parts + 2)``.
        bands, hop, sample_rate: of the STFT that the masks apply to.
    """

    rows: RowFile
    levels: Levels
    bands: BandLayout
    hop: int
    sample_rate: int


@dataclass(frozen=True)
class Column:
    """One output in a file of samples, ``(samples, outputs, channels)``."""

    rows: RowFile
    index: int


class PartSamples:
    """Samples of parts, each the sum of columns; a part without columns is silent."""

    def __init__(self, parts: Sequence[Sequence[Column]], channels: int) -> None:
        self.parts = tuple(tuple(columns) for columns in parts)
        self.channels = channels
        self.n_rows = max((column.rows.n_rows for columns in parts for column in columns), default=0)

    def read(self, start: int, stop: int) -> Samples:
        """``(samples, parts, channels)``."""
        stop = min(stop, self.n_rows)
        samples = np.zeros((max(0, stop - start), len(self.parts), self.channels), np.float32)
        files = {id(column.rows): column.rows for columns in self.parts for column in columns}
        read = {key: rows.read(start, stop) for key, rows in files.items()}
        for part, columns in enumerate(self.parts):
            for column in columns:
                samples[:, part] += read[id(column.rows)][:, column.index]
        return samples

    def blocks(self) -> Iterator[Samples]:
        """The same from the start, in blocks."""
        for start in range(0, self.n_rows, BLOCK):
            yield self.read(start, start + BLOCK)


@dataclass(frozen=True)
class WaveformOutput:
    """Samples of the parts at the engines' rate. They add up to the song."""

    rows: PartSamples
    sample_rate: int

    @property
    def levels(self) -> Levels:
        """Energies from which presence is scored, ``(segments, parts + 2)``; reads all samples."""
        per_segment = round(SEGMENT_S * self.sample_rate)
        tables = [np.zeros((0, len(self.rows.parts) + 2))]
        for start in range(0, self.rows.n_rows, per_segment):
            parts = self.rows.read(start, start + per_segment).astype(np.float64)  # (samples, parts, channels)
            energy = np.square(parts).sum(axis=2), np.square(parts.sum(axis=1)).sum(axis=1)
            tables.append(level_rows(*energy, per_segment))
        return np.concatenate(tables)


PassOutput = MaskOutput | WaveformOutput
