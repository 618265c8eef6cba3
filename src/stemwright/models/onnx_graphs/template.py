"""Makes the graph of a network without its weights, whose tensors keep the names that they have in the checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from stemwright.errors import ModelUnavailableError
from stemwright.models.onnx_export import OPSET, quiet
from stemwright.models.onnx_graphs.means import means_in_steps

NETWORK = "network."
"""Prefix of the weights' names in the graph: that of the network within the module that is exported."""

MAX_CONSTANT = 2048
"""Most numbers of a constant that is computed when the graph is made. Larger ones, such as positions of tokens, are computed
when it is loaded."""


@dataclass(frozen=True)
class GraphWithoutWeights:
    """What was made.

    Attributes:
        content: the ONNX file. Its weights are external tensors without numbers.
        shapes: their shapes by name.
    """

    content: bytes
    shapes: Mapping[str, tuple[int, ...]]


def without_weights(graph: Any) -> GraphWithoutWeights:
    """The graph of a module of ``onnx_graphs``.

    The optimiser sees weights as inputs: it cannot compute with them, so all remain, under their names.

    Args:
        graph: the module; its network is its attribute ``network``.

    Raises:
        ModelUnavailableError: a weight has no part in the graph.
    """
    import onnx_ir
    from onnxscript import optimizer

    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            graph,
            graph.example(),
            dynamo=True,
            opset_version=OPSET,
            verbose=False,
            optimize=False,
            input_names=[tensor.name for tensor in graph.contract.inputs],
            output_names=[tensor.name for tensor in graph.contract.outputs],
        )
    assert program is not None
    model = program.model
    shapes = {}
    for name, value in list(model.graph.initializers.items()):
        tensor = value.const_value
        assert tensor is not None
        del model.graph.initializers[name]
        shape = tuple(int(str(size)) for size in tensor.shape)
        value.name, value.shape, value.dtype = name.removeprefix(NETWORK), onnx_ir.Shape(shape), tensor.dtype
        value.const_value = None
        model.graph.inputs.append(value)
        shapes[value.name] = shape
    with quiet():
        optimizer.optimize_ir(model, input_size_limit=MAX_CONSTANT, output_size_limit=MAX_CONSTANT)
    made = onnx_ir.to_proto(model)
    _as_external(made, shapes)
    means_in_steps(made)
    wanted = {name: tuple(weight.shape) for name, weight in graph.network.state_dict().items()}
    used = {name for node in made.graph.node for name in node.input}
    if shapes != wanted or not wanted.keys() <= used:
        lost = sorted(set(wanted) ^ set(shapes) | set(wanted) - used)
        raise ModelUnavailableError(f"The graph lacks tensors of the network: {', '.join(lost)}.")
    return GraphWithoutWeights(made.SerializeToString(), shapes)


def _as_external(made: Any, shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Turns inputs that are weights into external tensors, and removes traces of the machine."""
    from onnx import TensorProto

    inputs = [value for value in made.graph.input if value.name not in shapes]
    del made.graph.input[:]
    made.graph.input.extend(inputs)
    del made.graph.value_info[:]
    for name, shape in shapes.items():
        tensor = made.graph.initializer.add(
            name=name, dims=shape, data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL
        )
        tensor.external_data.add(key="location", value="weights")
    for item in (made, made.graph, *made.graph.node, *made.graph.input, *made.graph.output):
        del item.metadata_props[:]
        item.doc_string = ""
