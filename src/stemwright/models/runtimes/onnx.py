"""ONNX Runtime: runs the network in the wheel on the CPU, or on a GPU where its runtime is installed."""

from __future__ import annotations

import ctypes
import hashlib
import os
import threading
from typing import Any
from weakref import WeakSet

import numpy as np
from numpy.typing import NDArray

from stemwright.errors import ModelUnavailableError
from stemwright.models import features
from stemwright.models.bands import BANDS_384, BandLayout
from stemwright.models.engine import ChunkSize
from stemwright.models.registry import Model

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "mps": "CoreMLExecutionProvider",
}
"""ONNX Runtime's providers for the devices of ``--device``; CoreML uses Apple's GPU and neural engine."""

REMEDIES = {
    "cuda": "install onnxruntime-gpu in place of onnxruntime, or use --device cpu",
    "mps": "it needs macOS; use --device cpu",
}


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
        self._model = model.name
        self._content = content
        self._device = device
        self._threads = threads
        self._loading = threading.Lock()
        self._session: Any = self._load()
        _ENGINES.add(self)
        self.name = f"{model.name}@{hashlib.sha256(content).hexdigest()[:16]}"
        facts = self._session.get_modelmeta().custom_metadata_map
        self.chunk = ChunkSize(int(facts.get("chunk_frames", CHUNK_FRAMES)), OVERLAP_FRAMES)
        self.stems = model.stems
        self.sample_rate = model.sample_rate_hz

    @property
    def bands(self) -> BandLayout:
        """The bands of the masks."""
        return BANDS_384

    def masks(self, spectrum: NDArray[np.complex64]) -> NDArray[np.float32]:
        """``(frames, 2, bins)`` -> ``(frames, stems, 2, bands)``."""
        feature_planes = features.planes(spectrum, self.bands)[np.newaxis]
        outputs: list[Any] = self._loaded_session().run(None, {"features": feature_planes})
        masks: NDArray[np.float32] = outputs[0]  # (stems, 2, bands, frames)
        return masks.transpose(3, 0, 1, 2)  # (frames, stems, 2, bands)

    def reset_session(self) -> None:
        """After a fork: the session's threads only exist in the parent, so the session is loaded again when needed.

        Deleting the old session would wait for those threads for ever, so it is kept until the process ends.
        """
        if self._session is not None:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._session))
        self._session = None
        self._loading = threading.Lock()

    def _loaded_session(self) -> Any:
        with self._loading:
            if self._session is None:
                self._session = self._load()
            return self._session

    def _load(self) -> Any:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = self._threads
        options.log_severity_level = 3
        # Memory patterns take 62 MB more after the first run, and are not faster.
        options.enable_mem_pattern = False
        try:
            return onnxruntime.InferenceSession(
                self._content, options, providers=_providers(self._device, onnxruntime.get_available_providers())
            )
        except ModelUnavailableError:
            raise
        except Exception as error:  # the runtime's errors have no other common base class
            raise ModelUnavailableError(
                f"ONNX Runtime {onnxruntime.__version__} cannot run {self._model}: {error}"
            ) from error


_ENGINES: WeakSet[OnnxMaskEngine] = WeakSet()


def _reset_sessions() -> None:
    for engine in list(_ENGINES):
        engine.reset_session()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_sessions)


def _providers(device: str, available: list[str]) -> list[str]:
    if device == "auto":
        wanted = [PROVIDERS["cuda"], PROVIDERS["cpu"]]
        return [provider for provider in wanted if provider in available]
    if PROVIDERS[device] not in available:
        raise ModelUnavailableError(f"This machine's ONNX Runtime has no device {device}: {REMEDIES[device]}.")
    return [PROVIDERS[device], PROVIDERS["cpu"]] if device != "cpu" else [PROVIDERS["cpu"]]
