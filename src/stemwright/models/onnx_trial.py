"""Runs one chunk through an ONNX file, so that what does not fit is told before the file is added."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from stemwright.cpu_memory_limits import cores
from stemwright.errors import ModelUnavailableError
from stemwright.models import onnx_file
from stemwright.models.registry import Model
from stemwright.models.runtimes.onnx_waveform import OnnxWaveformEngine

LEVEL = 0.1


def run_one_chunk(model: Model, graph: Path) -> None:
    """Runs quiet noise through a graph on the CPU.

    Raises:
        ModelUnavailableError: the file cannot be run, does not fit the contract of the model, or gives NaN.
    """
    facts = onnx_file.check(graph)
    try:
        engine = OnnxWaveformEngine(model, [graph], device="cpu", threads=cores())
    except ModelUnavailableError as error:
        if "opset" not in str(error).lower():
            raise
        version = max(facts.opsets.values(), default=0)
        raise ModelUnavailableError(
            f"{graph} has operators of version {version} (opset), which this ONNX Runtime does not run; update onnxruntime, "
            "or export the network again with opset 20."
        ) from error
    noise = LEVEL * np.random.default_rng(0).standard_normal((1, 2, model.chunk_samples), np.float32)
    if not np.isfinite(engine.separate(noise)).all():
        raise ModelUnavailableError(f"{graph} gives NaN or infinity; give another file.")
