"""The process that ``benchmarks.plan`` measures: the command line, with weights that are told by their own digests.

With ``STEMWRIGHT_RUNTIME=onnx`` PyTorch cannot be imported in it, as where it is not installed.
"""

from __future__ import annotations

import hashlib
import os
import sys
from dataclasses import replace
from pathlib import Path

from stemwright.cli.app import app
from stemwright.models import registry
from stemwright.models.registry import Model

MODELS_VARIABLE = "STEMWRIGHT_BENCHMARK_MODELS"
"""Variable that names the models whose weights are random."""


def with_random_weights(model: Model, folder: Path) -> Model:
    """The model with the sizes and digests of the files that are there."""
    files = []
    for file in model.files:
        path = folder / file.name
        with path.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        files.append(replace(file, size_bytes=path.stat().st_size, sha256=digest))
    return replace(model, files=tuple(files))


def main() -> None:
    """Runs the command with these models replaced."""
    if os.environ["STEMWRIGHT_RUNTIME"] == "onnx":
        sys.modules["torch"] = None  # type: ignore[assignment]  # an import of it fails then
    folder = Path(os.environ["STEMWRIGHT_MODELS_DIR"])
    names = os.environ[MODELS_VARIABLE].split(",")
    replaced = {name: with_random_weights(registry.find(name), folder) for name in names}
    shipped = tuple(replaced.get(model.name, model) for model in registry.models())
    registry._shipped = lambda: shipped  # type: ignore[assignment]  # its cache is not needed here
    app(prog_name="stemwright")


if __name__ == "__main__":
    main()
