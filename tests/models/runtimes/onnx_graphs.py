"""Small ONNX graphs with the contracts of published files: tensors of the same names and layouts, few bins and samples."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from stemwright.models.onnx_contract import OnnxContract
from stemwright.models.registry import Model
from stemwright.models.weight_file import WeightFile
from tests.models.onnx_contracts import CONTRACTS

OPSET, IR_VERSION = 17, 8
TYPES = {"float32": TensorProto.FLOAT, "float16": TensorProto.FLOAT16}

SMALL = {
    "waveform": {"chunk_samples": 3000},
    "packed-mask": {"n_fft": 256, "hop": 64, "chunk_samples": 3000},
    "two-spectra": {"n_fft": 256, "hop": 55, "chunk_samples": 2750},
    "mdx-net": {"n_fft": 480, "hop": 64, "bins": 241, "margin_samples": 240, "chunk_samples": 2720},
    "both": {"n_fft": 256, "hop": 64, "chunk_samples": 3000},
}
"""Sizes of the small graphs, by the name of the contract."""


@dataclass(frozen=True)
class Graph:
    """A graph with its contract and chunk."""

    contract: OnnxContract
    chunk_samples: int
    n_sources: int

    @property
    def sizes(self) -> dict[str, int]:
        return self.contract.sizes(chunk_samples=self.chunk_samples, n_sources=self.n_sources)


def small(name: str, n_sources: int = 1, element: str = "float32", **transform: Any) -> Graph:
    """A contract of ``CONTRACTS`` at a small size; nothing is zeroed in it unless ``transform`` says so."""
    table = tomllib.loads(CONTRACTS[name])
    sizes = {**SMALL[name], **transform}
    chunk_samples = sizes.pop("chunk_samples")
    if "margin_samples" in sizes:
        table["margin_samples"] = sizes.pop("margin_samples")
    for tensor in (*table["inputs"], *table["outputs"]):
        tensor["type"] = element
    if "transform" in table:
        table["transform"] |= {"zeroed_input_bins": 0, "zeroed_output_bins": 0, **sizes}
    return Graph(OnnxContract.from_table(table, name), chunk_samples, n_sources)


def model_of(graph: Graph, path: Path, **changes: Any) -> Model:
    """The graph at that path as a model; its labels are stems."""
    labels = ("vocals", "drums", "bass", "other")[: graph.n_sources]
    sources = {"fx" if label == "other" else label: (label,) for label in labels}
    model = Model(
        name="small",
        title="Small",
        runtime="onnx",
        kind="waveform",
        files=(WeightFile(path.name, "", path.stat().st_size, "0" * 64),),
        licence="MIT",
        licence_code="MIT",
        sample_rate_hz=44_100,
        labels=labels,
        sources=sources,
        onnx=graph.contract,
        chunk_samples=graph.chunk_samples,
        overlap=0.25,
    )
    return replace(model, **changes)


def write_identity(folder: Path, graph: Graph, gains: Sequence[float] | None = None) -> Path:
    """A graph whose source k is the mix times ``gains[k]``, of any kind of output.

    With outputs of two kinds each gives a half.
    """
    gains = gains or [1.0] * graph.n_sources
    contract, sizes = graph.contract, graph.sizes
    share = 1.0 / len({tensor.kind for tensor in contract.outputs})
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []
    for tensor in contract.outputs:
        axes = tensor.axes
        order = [axis for axis in ("source", "channel", "part", "bin", "frame", "sample") if axis in axes.axes]
        scale = share * np.array(gains, np.float64).reshape(-1, *[1] * (len(order) - ("source" in order)))
        if "source" not in order:
            scale = scale[0]
        dtype = np.dtype(tensor.type)
        if tensor.kind == "complex_mask":  # a constant: one, or the real part of one
            values = np.broadcast_to(scale, [sizes[axis] for axis in order]).copy()
            if "part" in order:
                np.moveaxis(values, order.index("part"), 0)[1] = 0
            constants.append(numpy_helper.from_array(axes.pack(values.astype(dtype), order), f"value {tensor.name}"))
            nodes.append(helper.make_node("Identity", [f"value {tensor.name}"], [tensor.name]))
            continue
        (given,) = (one for one in contract.inputs if (one.kind, one.part) == (tensor.kind, tensor.part))
        nodes += _rearranged(given.name, given.axes, tensor.name, axes, order, sizes, scale.astype(dtype), constants)
    return save(folder / "small.onnx", graph, nodes, constants)


def _rearranged(
    given: str,
    from_axes: Any,
    name: str,
    to_axes: Any,
    order: Sequence[str],
    sizes: dict[str, int],
    scale: Any,
    constants: Any,
) -> list[onnx.NodeProto]:
    """Nodes that bring a tensor from one layout into another, times a scale with the axes ``order``."""

    def constant(value: NDArray[Any], what: str) -> str:
        constants.append(numpy_helper.from_array(value, f"{what} {name}"))
        return f"{what} {name}"

    inner = [axis for axis in order if axis != "source"]
    split = constant(np.array([sizes[axis] for axis in from_axes.axes], np.int64), "split")
    moved = [from_axes.axes.index(axis) for axis in inner]
    joined = constant(np.array(to_axes.shape(sizes), np.int64), "joined")
    return [
        helper.make_node("Reshape", [given, split], [f"apart {name}"]),
        helper.make_node("Transpose", [f"apart {name}"], [f"moved {name}"], perm=moved),
        helper.make_node("Mul", [constant(scale, "scale"), f"moved {name}"], [f"scaled {name}"]),
        helper.make_node(
            "Transpose", [f"scaled {name}"], [f"back {name}"], perm=[order.index(a) for a in to_axes.axes]
        ),
        helper.make_node("Reshape", [f"back {name}", joined], [name]),
    ]


def save(
    path: Path,
    graph: Graph,
    nodes: Sequence[onnx.NodeProto],
    constants: Sequence[onnx.TensorProto] = (),
    *,
    extra_inputs: Sequence[onnx.ValueInfoProto] = (),
    opset: int = OPSET,
    dynamic: bool = False,
) -> Path:
    """Writes a graph whose inputs and outputs are those of the contract."""

    def info(tensor: Any) -> onnx.ValueInfoProto:
        shape = tensor.axes.shape(graph.sizes)
        dims: Any = [f"{tensor.name}{index}" for index in range(len(shape))] if dynamic else shape
        return helper.make_tensor_value_info(tensor.name, TYPES[tensor.type], dims)

    made = helper.make_graph(
        list(nodes),
        "small",
        [*map(info, graph.contract.inputs), *extra_inputs],
        [info(tensor) for tensor in graph.contract.outputs],
        list(constants),
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=IR_VERSION)
    onnx.save(model, path)
    return path


constant = partial(numpy_helper.from_array)
