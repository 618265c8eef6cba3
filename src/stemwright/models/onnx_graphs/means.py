"""Makes means of many numbers exact enough.

ONNX Runtime adds float32 numbers one after another, so the mean of 340,000 is wrong by 3e-5 of it, and a norm by as much.
Means of means of few are not: here the last axis is cut into blocks.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

BLOCK = 256
"""Numbers that are added at once."""


def means_in_steps(model: Any) -> None:
    """Replaces means of several axes, or of a long one, and norms over several axes, by smaller steps.

    Args:
        model: the ``ModelProto``, which is changed. Its shapes must be fixed.

    Raises:
        ValueError: the shape of what is averaged is not known.
    """
    from onnx import helper, numpy_helper, shape_inference

    known = copy.deepcopy(model)
    for node in known.graph.node:
        if node.op_type == "MultiHeadAttention":  # unknown to ONNX; its output has the shape of its queries
            node.CopyFrom(helper.make_node("Identity", node.input[:1], node.output[:1]))
    inferred = shape_inference.infer_shapes(known, data_prop=True).graph
    shapes = {
        value.name: tuple(size.dim_value for size in value.type.tensor_type.shape.dim)
        for value in (*inferred.value_info, *inferred.input, *inferred.output)
    }
    shapes |= {tensor.name: tuple(tensor.dims) for tensor in model.graph.initializer}
    constants = {tensor.name: tensor for tensor in model.graph.initializer if not tensor.external_data}
    steps = _Steps(model.graph)
    for node in list(model.graph.node):
        if node.op_type == "ReduceMean":
            axes = numpy_helper.to_array(constants[node.input[1]]).tolist()
            shape = shapes.get(node.input[0], ())
            if not shape or 0 in shape:
                raise ValueError(f"the shape of {node.input[0]} is not known")
            places = sorted({axis % len(shape) for axis in axes}, reverse=True)
            if len(places) > 1 or shape[places[0]] > 2 * BLOCK:
                keeps = all(one.i for one in node.attribute if one.name == "keepdims")
                steps.mean(node.input[0], shape, places, keeps, node.output[0])
                continue
        elif node.op_type == "LayerNormalization":
            scale = shapes[node.input[1]]
            if len(scale) > 1:  # of a batch of one
                epsilon = next(one.f for one in node.attribute if one.name == "epsilon")
                steps.norm(node, (1, *scale), list(range(len(scale), 0, -1)), epsilon)
                continue
        steps.nodes.append(node)
    del model.graph.node[:]
    model.graph.node.extend(steps.nodes)


class _Steps:
    """The nodes of the new graph, and the constants that they need."""

    def __init__(self, graph: Any) -> None:
        self.nodes: list[Any] = []
        self._graph = graph
        self._count = 0

    def mean(self, name: str, shape: tuple[int, ...], places: list[int], keeps: bool, result: str) -> None:
        """The mean over axes, the last one first."""
        count = int(np.prod([shape[place] for place in places]))
        last = len(shape) - 1
        if places[0] == last and shape[last] > 2 * BLOCK:
            pads = np.zeros(2 * len(shape), np.int64)
            pads[-1] = -shape[last] % BLOCK
            name = self._node("Pad", name, pads)
            name = self._node("Reshape", name, np.array([*shape[:last], -1, BLOCK], np.int64))
            name = self._node("ReduceSum", name, np.array([last + 1], np.int64), keeps=False)
        for place in places:
            name = self._node("ReduceSum", name, np.array([place], np.int64), keeps=True)
        if not keeps:
            name = self._node("Squeeze", name, np.array(places, np.int64))
        self._node("Mul", name, np.array(1 / count, np.float32), result=result)

    def norm(self, node: Any, shape: tuple[int, ...], places: list[int], epsilon: float) -> None:
        """A norm over axes, times its scale."""
        mean, power = self._name(), self._name()
        self.mean(node.input[0], shape, places, True, mean)
        centred = self._node("Sub", node.input[0], mean)
        self.mean(self._node("Mul", centred, centred), shape, places, True, power)
        deviation = self._node("Sqrt", self._node("Add", power, np.array(epsilon, np.float32)))
        scaled = self._node("Div", centred, deviation)
        inputs = [name for name in node.input if name]
        if len(inputs) > 2:
            scaled = self._node("Mul", scaled, inputs[1])
            self._node("Add", scaled, inputs[2], result=node.output[0])
        else:
            self._node("Mul", scaled, inputs[1], result=node.output[0])

    def _node(self, kind: str, *inputs: Any, result: str = "", keeps: bool | None = None) -> str:
        from onnx import helper, numpy_helper

        names = []
        for one in inputs:
            if isinstance(one, np.ndarray):
                name = self._name()
                self._graph.initializer.append(numpy_helper.from_array(one, name))
                names.append(name)
            else:
                names.append(one)
        result = result or self._name()
        node = helper.make_node(kind, names, [result])
        if keeps is not None:
            node.attribute.append(helper.make_attribute("keepdims", int(keeps)))
        self.nodes.append(node)
        return result

    def _name(self) -> str:
        self._count += 1
        return f"step_{self._count}"
