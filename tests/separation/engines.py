"""Engines for tests: real ones in all but the network. What they give at a point depends on that point of the input only."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from stemwright.models.bands import BANDS_384, BandLayout
from stemwright.models.engine import ChunkSize
from stemwright.stems import STEMS

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class LocalMasks:
    """Masks that depend on the power of their own band alone: each stem rules at powers of its own, a twelfth of them.

    Stems named in ``absent`` get next to nothing.
    """

    chunk: ChunkSize = field(default_factory=lambda: ChunkSize(64, 16))
    absent: tuple[str, ...] = ()
    name: str = "local-masks"
    stems: tuple[str, ...] = STEMS
    sample_rate: int = 44_100
    hop: int = 1024

    @property
    def bands(self) -> BandLayout:
        return BANDS_384

    def masks(self, spectrum: NDArray[np.complex64]) -> Samples:
        power = self.bands.pool(np.abs(spectrum) ** 2)  # (frames, 2, bands)
        place = np.arange(len(self.stems))[:, None, None]
        turn = 50 * np.log(power + 1e-9)[:, None] + 2 * np.pi / 12 * place
        logits = 5 * np.cos(turn)  # (frames, stems, 2, bands)
        for name in self.absent:
            logits[:, self.stems.index(name)] = -20
        exp = np.exp(logits)
        masks: Samples = (exp / exp.sum(axis=1, keepdims=True)).astype(np.float32)
        return masks


@dataclass(frozen=True)
class LocalWaveforms:
    """Stems that are fixed multiples of each sample: by themselves they do not add up to the input."""

    chunk: ChunkSize = field(default_factory=lambda: ChunkSize(8192, 2048))
    name: str = "local-waveforms"
    stems: tuple[str, ...] = STEMS
    sample_rate: int = 44_100

    batch: int = 1
    overlapping: bool = False

    def separate(self, chunks: Samples) -> Samples:
        gains = np.array([0.3 if place % 4 < 2 else -0.3 for place in range(len(self.stems))], np.float32)
        return chunks[:, np.newaxis] * gains[:, np.newaxis, np.newaxis]
