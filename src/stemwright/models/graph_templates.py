"""Graphs of published networks without their weights, which ONNX Runtime runs with the weights of a checkpoint.

The folder ``graphs`` has two files for each: a description in JSON, and the graph of ONNX, compressed. They are made by
``scripts/graph-templates`` of the modules in ``onnx_graphs``. The tensors of the graph have the names that they have in
the checkpoint, so nothing is converted, and PyTorch is not needed.
"""

from __future__ import annotations

import json
import lzma
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from importlib.abc import Traversable
from typing import Any

from stemwright.models.onnx_contract import OnnxContract
from stemwright.models.registry import Model

FOLDER = "graphs"


@dataclass(frozen=True)
class GraphTemplate:
    """A graph without weights.

    Attributes:
        file: the compressed ONNX file; None before it is written.
        architecture: module of ``models.architectures``.
        options: options of the network that the graph was made for, and the number of its sources.
        chunk_samples: length of the chunks that it was made for.
        contract: what its inputs and outputs mean.
        shapes: shapes of its weights, by their names in the checkpoint.
    """

    file: Traversable | None
    architecture: str
    options: Mapping[str, Any]
    chunk_samples: int
    contract: OnnxContract
    shapes: Mapping[str, tuple[int, ...]]

    @classmethod
    def read(cls, folder: Traversable, name: str) -> GraphTemplate:
        """The graph of that name in a folder."""
        facts = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        facts["contract"] = OnnxContract.from_table(facts["contract"], name)
        facts["shapes"] = {tensor: tuple(shape) for tensor, shape in facts["shapes"].items()}
        return cls(file=folder / f"{name}.onnx.xz", **facts)

    def to_table(self) -> dict[str, Any]:
        """The description that ``read`` reads."""
        return {
            "architecture": self.architecture,
            "chunk_samples": self.chunk_samples,
            "options": dict(self.options),
            "contract": self.contract.to_table(),
            "shapes": {name: list(shape) for name, shape in self.shapes.items()},
        }

    def graph(self) -> bytes:
        """The ONNX file, in which weights have names and no numbers."""
        assert self.file is not None
        return lzma.decompress(self.file.read_bytes())

    def fits(self, model: Model) -> bool:
        """Whether it is the graph of this model's network, whatever its weights."""
        return (
            model.architecture == self.architecture
            and model.chunk_samples == self.chunk_samples
            and shaping_options(model) == self.options
        )


def template_of(model: Model) -> GraphTemplate | None:
    """The graph of a model; None if there is none."""
    if model.runtime != "pytorch":
        return None
    return next((template for template in templates() if template.fits(model)), None)


@cache
def templates() -> tuple[GraphTemplate, ...]:
    """All that there are."""
    folder = resources.files("stemwright.models") / FOLDER
    names = sorted(file.name.removesuffix(".json") for file in folder.iterdir() if file.name.endswith(".json"))
    return tuple(GraphTemplate.read(folder, name) for name in names)


def shaping_options(model: Model) -> dict[str, Any]:
    """The options of a network without the names of its sources, which are no part of the graph: only their number is."""
    options = dict(model.options)
    if "sources" in options:
        options["sources"] = len(options["sources"])
    return options
