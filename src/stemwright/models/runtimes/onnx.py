"""ONNX Runtime: runs the network in the wheel on the CPU, or on a GPU where its runtime is installed."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from stemwright.models import features
from stemwright.models.bands import BANDS_384, BandLayout
from stemwright.models.engine import ChunkSize
from stemwright.models.registry import Model
from stemwright.models.runtimes.onnx_providers import providers
from stemwright.models.runtimes.onnx_session import OnnxSession

CHUNK_FRAMES, OVERLAP_FRAMES = 512, 64
"""Chunk size and overlap in frames, for files that do not state them."""


class OnnxMaskEngine:
    """A mask network exported by ``training/export.py``: features ``(1, 4, bands, frames)`` to masks.

    The file states the chunk length: a network with attention works best at the length it was trained on.

    Raises:
        ModelUnavailableError: the file is not such a network, or the device is not available.
    """

    hop = 1024

    def __init__(self, model: Model, content: bytes, *, device: str, threads: int) -> None:
        import onnxruntime

        self._session = OnnxSession(
            content,
            model.name,
            providers=providers(device, onnxruntime.get_available_providers()),
            threads=threads,
        )
        self.name = f"{model.name}@{hashlib.sha256(content).hexdigest()[:16]}"
        self.chunk = ChunkSize(int(self._session.metadata.get("chunk_frames", CHUNK_FRAMES)), OVERLAP_FRAMES)
        self.stems = model.stems
        self.sample_rate = model.sample_rate_hz

    @property
    def bands(self) -> BandLayout:
        """The bands of the masks."""
        return BANDS_384

    def masks(self, spectrum: NDArray[np.complex64]) -> NDArray[np.float32]:
        """``(frames, 2, bins)`` -> ``(frames, stems, 2, bands)``."""
        feature_planes = features.planes(spectrum, self.bands)[np.newaxis]
        (masks,) = self._session.run({"features": feature_planes}).values()  # (stems, 2, bands, frames)
        return masks.transpose(3, 0, 1, 2)  # (frames, stems, 2, bands)
