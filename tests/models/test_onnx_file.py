from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from stemwright.errors import ModelUnavailableError
from stemwright.models import onnx_file, weight_store
from stemwright.models.registry import find


def write(
    path: Path,
    nodes: Sequence[onnx.NodeProto],
    weights: Sequence[onnx.TensorProto] = (),
    opsets: Sequence[onnx.OperatorSetIdProto] = (helper.make_opsetid("", 17),),
    functions: Sequence[onnx.FunctionProto] = (),
) -> Path:
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2]) for name in ("mix", "stems")]
    graph = helper.make_graph(list(nodes), "graph", tensors[:1], tensors[1:], list(weights))
    onnx.save(helper.make_model(graph, opset_imports=list(opsets), functions=list(functions)), path)
    return path


def node(operator: str = "Identity", inputs: Sequence[str] = ("mix",), **attributes: Any) -> onnx.NodeProto:
    return helper.make_node(operator, list(inputs), ["stems"], **attributes)


def test_versions_and_operators_are_read(tmp_path: Path) -> None:
    weights = [numpy_helper.from_array(np.ones(2, np.float32), "gain")]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    facts = onnx_file.check(write(tmp_path / "x.onnx", [node("Mul", ("mix", "gain"))], weights, opsets))
    assert facts.opsets == {"": 17, "com.microsoft": 1}
    assert facts.operators == {("", "Mul"): "stems"}
    assert not facts.coarse and not facts.external and not facts.functions


def test_the_network_in_the_wheel_is_read_as_the_onnx_package_reads_it() -> None:
    (file,) = find("stemwright-12").files
    path = weight_store.find(file)
    assert path is not None
    facts, wanted = onnx_file.check(path), onnx.load(path)
    assert facts.opsets == {one.domain: one.version for one in wanted.opset_import}
    assert set(facts.operators) == {(one.domain, one.op_type) for one in wanted.graph.node}


@pytest.mark.parametrize("there", [True, False])
def test_weights_in_another_file_are_told_with_its_name(there: bool, tmp_path: Path) -> None:
    tensor = numpy_helper.from_array(np.ones(2, np.float32), "gain")
    onnx.external_data_helper.set_external_data(tensor, "x.onnx.data")
    tensor.ClearField("raw_data")
    path = write(tmp_path / "x.onnx", [node("Mul", ("mix", "gain"))], [tensor])
    if there:
        (tmp_path / "x.onnx.data").write_bytes(bytes(8))
    words = "and one file is needed" if there else "which is not there"
    with pytest.raises(
        ModelUnavailableError, match=rf"x\.onnx keeps the tensor 'gain' in another file, x\.onnx\.data, {words}"
    ):
        onnx_file.check(path)


def _quantised(dtype: type) -> list[onnx.TensorProto]:
    return [
        numpy_helper.from_array(np.ones(2, dtype), "coarse weight"),
        numpy_helper.from_array(np.array(0.1, np.float32), "step"),
        numpy_helper.from_array(np.zeros((), dtype), "zero"),
    ]


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_weights_of_8_bits_are_refused_with_their_name(dtype: type, tmp_path: Path) -> None:
    nodes = [
        helper.make_node("DequantizeLinear", ["coarse weight", "step", "zero"], ["weight"]),
        node("Mul", ("mix", "weight")),
    ]
    path = write(tmp_path / "x.onnx", nodes, _quantised(dtype))
    with pytest.raises(
        ModelUnavailableError, match=rf"8 bits or fewer \(the tensor 'coarse weight' is {dtype.__name__}\)"
    ):
        onnx_file.check(path)


def test_a_coarse_constant_within_a_branch_is_found(tmp_path: Path) -> None:
    constant = helper.make_node("Constant", [], ["inner"], value=numpy_helper.from_array(np.ones(4, np.int8)))
    output = helper.make_tensor_value_info("inner", TensorProto.INT8, [4])
    branch = helper.make_graph([constant], "branch", [], [output])
    nodes = [helper.make_node("If", ["condition"], ["unused"], then_branch=branch, else_branch=branch), node()]
    path = write(tmp_path / "x.onnx", nodes, [numpy_helper.from_array(np.array(True), "condition")])
    with pytest.raises(ModelUnavailableError, match="the tensor 'inner' is int8"):
        onnx_file.check(path)


def test_arithmetic_with_8_bits_is_refused(tmp_path: Path) -> None:
    quantise = helper.make_node("DynamicQuantizeLinear", ["mix"], ["q", "step", "zero"])
    path = write(tmp_path / "x.onnx", [quantise, node("Identity")])
    with pytest.raises(
        ModelUnavailableError, match=r"computes with 8 bits \(DynamicQuantizeLinear, for the tensor 'q'\)"
    ):
        onnx_file.check(path)


def test_a_custom_operator_is_refused_with_its_tensor(tmp_path: Path) -> None:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("their.domain", 1)]
    path = write(tmp_path / "x.onnx", [node("Whisper", domain="their.domain")], opsets=opsets)
    with pytest.raises(
        ModelUnavailableError, match=r"custom operator their\.domain\.Whisper \(for the tensor 'stems'\)"
    ):
        onnx_file.check(path)


def test_an_operator_that_the_file_defines_itself_is_not_custom(tmp_path: Path) -> None:
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("their.domain", 1)]
    body = [helper.make_node("Identity", ["x"], ["y"])]
    function = helper.make_function("their.domain", "Whisper", ["x"], ["y"], body, opsets[:1])
    nodes = [node("Whisper", domain="their.domain")]
    facts = onnx_file.check(write(tmp_path / "x.onnx", nodes, opsets=opsets, functions=[function]))
    assert facts.functions == {("their.domain", "Whisper")}


@pytest.mark.parametrize(
    "content", [b"", b"no network", b"\x3a\xff\xff\xff\x7f", b"\x08" + b"\xff" * 12, b"<html>quota</html>" * 100]
)
def test_what_is_no_onnx_file_is_told(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "x.onnx"
    path.write_bytes(content)
    with pytest.raises(ModelUnavailableError, match=r"x\.onnx is (cut off or )?not an ONNX file"):
        onnx_file.check(path)


def test_a_file_that_is_cut_off_is_told_wherever_it_ends(tmp_path: Path) -> None:
    weights = [numpy_helper.from_array(np.ones(300, np.float32), "gain")]
    content = write(tmp_path / "x.onnx", [node("Mul", ("mix", "gain"))], weights).read_bytes()
    for end in range(1, len(content) - 4, 61):
        (tmp_path / "cut.onnx").write_bytes(content[:end])
        with pytest.raises(ModelUnavailableError, match="not an ONNX file"):
            onnx_file.check(tmp_path / "cut.onnx")


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(ModelUnavailableError, match=r"x\.onnx cannot be read \(No such file"):
        onnx_file.check(tmp_path / "x.onnx")
