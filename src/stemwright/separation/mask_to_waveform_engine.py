"""Adapts a mask engine to a waveform engine, for a step of a cascade."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from stemwright.models.engine import ChunkSize, MaskEngine
from stemwright.separation.stft import Analysis, Spectrum, Stft, Synthesis

Samples = NDArray[np.float32]


class MaskToWaveformEngine:
    """Applies the masks to the spectrum of each chunk at the engine's sample rate."""

    batch = 1
    overlapping = False

    def __init__(self, engine: MaskEngine) -> None:
        self._engine = engine
        self._stft = Stft(engine.bands.n_fft, engine.hop)
        self._band = engine.bands.band_of_bins(engine.bands.n_fft, engine.sample_rate)  # (bins,)
        self.name = engine.name
        self.stems = engine.stems
        self.sample_rate = engine.sample_rate
        # This many samples give exactly the number of frames of a chunk.
        overhang = engine.bands.n_fft // engine.hop - 1
        self.chunk = ChunkSize((engine.chunk.length - overhang) * engine.hop, engine.chunk.overlap * engine.hop)

    def separate(self, chunks: Samples) -> Samples:
        """``(batch, 2, samples)`` -> ``(batch, stems, 2, samples)``."""
        return np.stack([self._separate(chunk) for chunk in chunks])

    def _separate(self, chunk: Samples) -> Samples:
        analysis = Analysis(self._stft, channels=2)
        spectrum = np.concatenate([analysis.push(chunk), analysis.finish()])  # (frames, 2, bins)
        masks = self._engine.masks(spectrum)  # (frames, stems, 2, bands)
        stems = []
        for stem in range(len(self.stems)):
            frames: Spectrum = spectrum * np.take(masks[:, stem], self._band, axis=-1)  # (frames, 2, bins)
            stems.append(Synthesis(self._stft, channels=2).push(frames)[:, : chunk.shape[1]])
        return np.stack(stems)
