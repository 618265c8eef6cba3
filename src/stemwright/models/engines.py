"""From a model of the registry to an engine that runs."""

from __future__ import annotations

from stemwright.errors import ModelUnavailableError
from stemwright.models import weights
from stemwright.models.engine import MaskEngine, WaveformEngine
from stemwright.models.registry import Model


def load_engine(model: Model, *, device: str, threads: int) -> MaskEngine | WaveformEngine:
    """Reads and verifies the weights, and sets up the runtime.

    Raises:
        ModelUnavailableError: weights, runtime or device are not to be had.
    """
    if model.runtime == "onnx" and model.kind == "mask":
        from stemwright.models.runtimes.onnx import OnnxMaskEngine

        return OnnxMaskEngine(model, weights.load(model), device=device, threads=threads)
    raise ModelUnavailableError(
        f"{model.name} wants a {model.runtime} runtime for {model.kind} models, which this version has not got."
    )
