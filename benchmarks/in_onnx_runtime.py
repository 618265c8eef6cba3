"""Times the graph of a registered model in ONNX Runtime, with the transform around it, on random weights.

The same protocol as ``benchmarks/ours.py``, but PyTorch is not loaded.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from stemwright.models import registry
from stemwright.models.graph_templates import template_of
from stemwright.models.runtimes.onnx_waveform import OnnxWaveformEngine
from stemwright.separation.resources import peak_rss_mb


def main() -> None:
    """Handles requests line by line."""
    facts = json.loads(sys.stdin.readline())
    clock = time.process_time if facts.get("processor_time") else time.perf_counter
    model = registry.find(facts["model"])
    template = template_of(model)
    if template is None:
        raise SystemExit(f"{model.name} has no graph.")
    with tempfile.TemporaryDirectory() as folder:
        generator = np.random.default_rng(0)
        path = Path(folder) / "weights.safetensors"
        write_random_weights(path, template.shapes, generator)
        engine = OnnxWaveformEngine(
            replace(model, files=model.files[:1]), [path], device="cpu", threads=facts["threads"], template=template
        )
        song = generator.uniform(-0.5, 0.5, (1, 2, model.chunk_samples)).astype(np.float32)
        engine.separate(song)
        print(json.dumps({"error_db": None, "peak_rss_mb": peak_rss_mb()}), flush=True)
        for _ in sys.stdin:
            began = clock()
            engine.separate(song)
            print(clock() - began, flush=True)


def write_random_weights(path: Path, shapes: Mapping[str, tuple[int, ...]], generator: np.random.Generator) -> None:
    """A safetensors file with the weights of a network."""
    table, numbers, place = {}, [], 0
    for name, shape in shapes.items():
        spread = 0.5 / math.prod(shape[1:]) ** 0.5
        values = (spread * generator.standard_normal(shape)).astype(np.float32)
        table[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [place, place + values.nbytes]}
        numbers.append(values.tobytes())
        place += values.nbytes
    head = json.dumps(table).encode()
    path.write_bytes(len(head).to_bytes(8, "little") + head + b"".join(numbers))


if __name__ == "__main__":
    main()
