"""Bands: the frequency axis of the masks. Single bins at low frequencies, 64 bands per octave above.

With masks in 384 bands the ratio-mask oracle loses 0.0 to 0.5 dB compared with all 2,049 bins of a 4,096-point STFT,
and the network is five times cheaper (docs/decisions/0001-bands.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float32]


@dataclass(frozen=True)
class BandLayout:
    """Runs of bins of an STFT; run ``(start, stop, width)`` cuts bins ``[start, stop)`` into bands ``width`` bins wide.

    The bin at the Nyquist frequency belongs to the last band. The last axis of every array here is bins or bands.
    """

    n_fft: int
    sample_rate: int
    runs: tuple[tuple[int, int, int], ...]

    @property
    def n_bins(self) -> int:
        """Bins of one spectrum, ``n_fft / 2 + 1``."""
        return self.n_fft // 2 + 1

    @property
    def n_bands(self) -> int:
        """Bands of one spectrum."""
        return sum((stop - start) // width for start, stop, width in self.runs)

    @cached_property
    def widths(self) -> NDArray[np.int64]:
        """Bins in each band, ``(bands,)``, without the bin at the Nyquist frequency."""
        return np.concatenate([np.full((stop - start) // width, width) for start, stop, width in self.runs])

    def pool(self, power: Float) -> Float:
        """Mean of each band: ``(..., bins)`` -> ``(..., bands)``."""
        # Adds the first bins of all bands, then the second ones and so on: `mean` over so few is three times slower.
        pooled = [
            reduce(np.add, (power[..., start + offset : stop : width] for offset in range(width))) / np.float32(width)
            for start, stop, width in self.runs
        ]
        return np.concatenate(pooled, axis=-1)

    def band_of_bins(self, n_fft: int, sample_rate: int) -> NDArray[np.int64]:
        """The band of each bin of another STFT, ``(n_fft / 2 + 1,)``, by the bin's centre frequency.

        At the layout's own size and rate this is the layout itself. Bins above the layout's top frequency belong to the
        top band, so a 96 kHz song keeps its upper octave.
        """
        hz = np.arange(n_fft // 2 + 1) * (sample_rate / n_fft)
        own_bin = np.minimum(np.rint(hz * (self.n_fft / self.sample_rate)), self.n_bins - 2).astype(np.int64)
        bands: NDArray[np.int64] = np.repeat(np.arange(self.n_bands), self.widths)[own_bin]
        return bands


BANDS_384 = BandLayout(
    n_fft=4096,
    sample_rate=44_100,
    runs=((0, 128, 1), (128, 256, 2), (256, 512, 4), (512, 1024, 8), (1024, 2048, 16)),
)
"""128 single bins up to 1.4 kHz, then 64 bands per octave: 384 bands."""
