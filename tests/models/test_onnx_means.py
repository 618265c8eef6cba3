"""Means in steps, run by ONNX Runtime, against NumPy in double precision."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from stemwright.models.onnx_graphs.means import means_in_steps

Array = NDArray[np.float32]


def model_of(nodes: Sequence[NodeProto], x: Array, constants: dict[str, NDArray[np.generic]]) -> ModelProto:
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, x.shape)],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)


def run(model: ModelProto, x: Array) -> Array:
    (y,) = onnxruntime.InferenceSession(model.SerializeToString()).run(None, {"x": x})
    return np.asarray(y)


def without_numbers(model: ModelProto, name: str) -> None:
    """Turns a constant into a tensor of another file."""
    tensor = next(one for one in model.graph.initializer if one.name == name)
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="weights")


@pytest.mark.parametrize("keeps", [True, False])
@pytest.mark.parametrize(
    ("shape", "axes"),
    [
        ((1, 2, 1, 343_980), (1, 2, 3)),
        ((1, 6, 1, 85_995), (1, 3)),
        ((1, 6, 1, 85_995), (-1,)),
        ((1, 6, 40, 336), (-3, -1)),
        ((1, 4, 30, 336), (1, 2, 3)),
    ],
)
def test_a_mean_is_exact_to_the_rounding_of_float32(shape: tuple[int, ...], axes: tuple[int, ...], keeps: bool) -> None:
    x = np.abs(np.random.default_rng(0).standard_normal(shape)).astype(np.float32)
    node = helper.make_node("ReduceMean", ["x", "axes"], ["y"], keepdims=int(keeps))
    model = model_of([node], x, {"axes": np.array(axes, np.int64)})
    wanted = x.astype(np.float64).mean(axes, keepdims=keeps)
    if axes == (1, 3) and shape[3] > 80_000:
        assert np.abs(run(model, x) / wanted - 1).max() > 1e-5, "so it is needed"
    means_in_steps(model)
    found = run(model, x)
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted, rtol=1e-6)


@pytest.mark.parametrize("bias", [True, False])
def test_a_norm_over_two_axes_is_exact(bias: bool) -> None:
    generator = np.random.default_rng(0)
    x = (generator.standard_normal((1, 2688, 384)) + 0.3).astype(np.float32)
    constants = {"scale": generator.uniform(0.5, 1.5, x.shape[1:]).astype(np.float32)}
    if bias:
        constants["bias"] = generator.standard_normal(x.shape[1:]).astype(np.float32)
    model = model_of(
        [helper.make_node("LayerNormalization", ["x", *constants], ["y"], axis=1, epsilon=1e-5)], x, {**constants}
    )
    means_in_steps(model)
    exact = x.astype(np.float64)
    wanted = (exact - exact.mean()) / np.sqrt(exact.var() + 1e-5) * constants["scale"] + constants.get("bias", 0.0)
    np.testing.assert_allclose(run(model, x), wanted, atol=3e-6)


@pytest.mark.parametrize("external", [False, True])
def test_small_means_and_norms_of_channels_stay(external: bool) -> None:
    x = np.ones((1, 40, 16), np.float32)
    nodes = [
        helper.make_node("LayerNormalization", ["x", "scale"], ["normed"]),
        helper.make_node("ReduceMean", ["normed", "axes"], ["y"]),
    ]
    model = model_of(nodes, x, {"scale": np.ones(16, np.float32), "axes": np.array([2], np.int64)})
    if external:  # as in a graph without weights
        without_numbers(model, "scale")
    before = model.SerializeToString()
    means_in_steps(model)
    assert model.SerializeToString() == before


def test_a_shape_that_is_not_known_is_told() -> None:
    x = np.ones((1, 4), np.float32)
    nodes = [
        helper.make_node("Mystery", ["x"], ["z"], domain="their.domain"),
        helper.make_node("ReduceMean", ["z", "axes"], ["y"]),
    ]
    model = model_of(nodes, x, {"axes": np.array([1], np.int64)})
    model.opset_import.append(helper.make_opsetid("their.domain", 1))
    with pytest.raises(ValueError, match="the shape of z is not known"):
        means_in_steps(model)
