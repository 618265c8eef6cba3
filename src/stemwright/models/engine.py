"""The protocols of the two kinds of engines: waveform engines and mask engines.

A waveform engine returns the samples of the stems. A mask engine returns a time-frequency mask for each stem, and the
separator applies it to the mix. Files, overlap and the length of the song are handled outside of engines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from stemwright.models.bands import BandLayout

Samples = NDArray[np.float32]
Spectrum = NDArray[np.complex64]


@dataclass(frozen=True)
class ChunkSize:
    """Size and overlap of an engine's chunks, in its own unit (samples, or frames of its STFT).

    Attributes:
        length: units per call, always exactly this many (the end of a song is padded: samples with zeros, frames by
                mirroring).
        overlap: units shared by neighbouring chunks, at most half of ``length``.
    """

    length: int
    overlap: int

    def __post_init__(self) -> None:
        """Raises ValueError for an invalid overlap."""
        if self.length < 1 or not 0 <= 2 * self.overlap <= self.length:
            raise ValueError(f"an overlap of {self.overlap} does not fit a chunk of {self.length}")

    @property
    def stride(self) -> int:
        """Units from the start of one chunk to the start of the next."""
        return self.length - self.overlap


class Engine(Protocol):
    """Properties of both kinds of engines."""

    @property
    def name(self) -> str:
        """Identity of the weights, such as a digest: a run is only resumed with the same engine."""

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of the output stems in order, from ``stemwright.stems.STEMS``."""

    @property
    def sample_rate(self) -> int:
        """Sample rate of the input in Hz."""

    @property
    def chunk(self) -> ChunkSize:
        """Chunk size in samples (waveform engine) or frames (mask engine)."""


@runtime_checkable
class WaveformEngine(Engine, Protocol):
    """Separates samples into samples."""

    @property
    def batch(self) -> int:
        """Chunks per call; constant, except at the end of a song."""

    @property
    def overlapping(self) -> bool:
        """Whether several stems may contain the same sound, so that their sum can exceed the mix."""

    def separate(self, chunks: Samples) -> Samples:
        """``(batch, 2, samples)`` -> ``(batch, stems, 2, samples)``."""


@runtime_checkable
class MaskEngine(Engine, Protocol):
    """Separates a spectrum into masks that sum to one over the stems."""

    @property
    def bands(self) -> BandLayout:
        """The STFT's size and the bands of its frequency axis."""

    @property
    def hop(self) -> int:
        """Hop size in samples."""

    def masks(self, spectrum: Spectrum) -> Samples:
        """``(frames, 2, bins)`` -> ``(frames, stems, 2, bands)``, non-negative, summing to one over the stems."""
