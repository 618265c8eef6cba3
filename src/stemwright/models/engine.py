"""The two protocols of engines: waveform engines and mask engines.

A waveform engine gives the stems' samples. A mask engine gives, for each stem, the share of every time-frequency point
of the mix, and the separator applies it. Neither knows of files, chunks, overlap or the length of the song.
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
    """How much an engine wants to see at once, in its own unit (samples, or frames of its STFT).

    Attributes:
        length: units given to the engine in one call; every call gets exactly this many (the end is padded: samples with
            zeros, frames with those before them).
        overlap: units that neighbouring chunks share, at most half of ``length``.
    """

    length: int
    overlap: int

    def __post_init__(self) -> None:
        """Raises ValueError for an overlap that the overlap-add cannot use."""
        if self.length < 1 or not 0 <= 2 * self.overlap <= self.length:
            raise ValueError(f"an overlap of {self.overlap} does not fit a chunk of {self.length}")

    @property
    def stride(self) -> int:
        """Units from the start of one chunk to the start of the next."""
        return self.length - self.overlap


class Engine(Protocol):
    """What both kinds of engine say of themselves."""

    @property
    def name(self) -> str:
        """Identity of the weights, such as a digest: a run is resumed only by the same engine."""

    @property
    def stems(self) -> tuple[str, ...]:
        """Names of the stems that come out, in order, of ``stemwright.stems.STEMS``."""

    @property
    def sample_rate(self) -> int:
        """Rate in Hz of the audio that the engine takes."""

    @property
    def chunk(self) -> ChunkSize:
        """Samples (waveform engine) or frames (mask engine) of one call."""


@runtime_checkable
class WaveformEngine(Engine, Protocol):
    """Separates samples into samples."""

    @property
    def batch(self) -> int:
        """Chunks that it wants at once; it is always the same number, but for the end of a song."""

    @property
    def overlapping(self) -> bool:
        """Whether several stems may claim the same sound, so that together they claim more than there is."""

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
        """Samples from one frame to the next."""

    def masks(self, spectrum: Spectrum) -> Samples:
        """``(frames, 2, bins)`` -> ``(frames, stems, 2, bands)``, non-negative, summing to one over the stems."""
