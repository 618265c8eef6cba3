"""``stemwright models add`` with ONNX files: what fits is added, and of what does not nothing stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import soundfile
from onnx import TensorProto, helper, numpy_helper

from stemwright.models import registry
from stemwright.models.onnx_config import OnnxConfig
from tests.cli.conftest import one_error, run
from tests.models.runtimes.onnx_graphs import SMALL, Graph, model_of, save, small, write_identity


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("STEMWRIGHT_MODELS_DIR", str(tmp_path / "models"))
    return tmp_path / "models"


def config_of(graph: Graph, path: Path) -> Path:
    toml = path.with_suffix(".toml")
    toml.write_bytes(replace(OnnxConfig.of_model(model_of(graph, path)), sources={}).to_toml())
    return toml


def add(config: Path, path: Path, *more: str) -> Any:
    return run("models", "add", "--config", str(config), "--checkpoint", str(path), "--name", "mine", *more)


@pytest.mark.parametrize("kind", list(SMALL))
def test_each_contract_is_added_and_separates(kind: str, tmp_path: Path, folder: Path) -> None:
    graph = small(kind, 1 if kind == "mdx-net" else 4)
    path = write_identity(tmp_path, graph, [0.5] * graph.n_sources)
    done = add(config_of(graph, path), path, "--licence", "MIT")
    assert done.code == 0, done.err
    assert done.out.startswith("mine: added, ONNX, separates vocals")
    model = registry.find("mine")
    assert (model.runtime, model.kind, model.licence, model.onnx) == ("onnx", "waveform", "MIT", graph.contract)
    song = tmp_path / "song.wav"
    mix = np.random.default_rng(0).uniform(-0.4, 0.4, (20_000, 2)).astype(np.float32)
    soundfile.write(song, mix, 44_100, "FLOAT")
    done = run("separate", str(song), "--plan", "mine", "--out", str(tmp_path / "out"), "--quiet")
    assert done.code == 0, done.err
    stems = {path.stem: soundfile.read(path, dtype="float32")[0] for path in (tmp_path / "out" / "song").glob("*.wav")}
    np.testing.assert_allclose(stems["vocals"], 0.5 * mix, atol=1e-5)
    np.testing.assert_allclose(sum(stems.values()), mix, atol=1e-6)
    assert "onnx" in run("models", "show", "mine").out
    assert run("models", "verify", "mine").code == 0
    assert run("models", "remove", "mine").code == 0
    assert [path.name for path in folder.rglob("*") if path.is_file() and not path.name.startswith(".")] == []


def _edited(path: Path, edit: Callable[[onnx.ModelProto], None]) -> Path:
    model = onnx.load(path)
    edit(model)
    onnx.save(model, path)
    return path


def _set_opset(model: onnx.ModelProto) -> None:
    model.opset_import[0].version = 99


def _fix_frames(model: onnx.ModelProto) -> None:
    model.graph.input[0].type.tensor_type.shape.dim[3].dim_value = 17


def _half(model: onnx.ModelProto) -> None:
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = TensorProto.FLOAT16
    for tensor in model.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32:
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), tensor.name))


def _more_input(model: onnx.ModelProto) -> None:
    model.graph.input.append(helper.make_tensor_value_info("speaker", TensorProto.FLOAT, [1]))


def _renamed(model: onnx.ModelProto) -> None:
    model.graph.node[-1].output[0] = model.graph.output[-1].name = "vocals"


def _nan(model: onnx.ModelProto) -> None:
    for tensor in model.graph.initializer:
        if tensor.name.startswith("scale"):
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(np.nan), tensor.name))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (_set_opset, ["small.onnx", "version 99 (opset)"]),
        (_fix_frames, ["small.onnx", "'spec_real'", "17", "its contract, with its chunk_samples and labels, says"]),
        (_half, ["small.onnx", "'spec_real'", "tensor(float16)", "its contract says tensor(float)"]),
        (_more_input, ["small.onnx", "also needs the input 'speaker'"]),
        (_renamed, ["small.onnx", "has no output 'out_spec_imag'", "'vocals'"]),
        (_nan, ["small.onnx", "NaN or infinity in 'out_spec_real'"]),
    ],
    ids=["opset", "frames", "half", "more-input", "renamed", "nan"],
)
def test_what_does_not_fit_is_told_in_one_sentence_and_nothing_stays(
    edit: Callable[[onnx.ModelProto], None], words: list[str], tmp_path: Path, folder: Path
) -> None:
    graph = small("two-spectra", 4)
    path = write_identity(tmp_path, graph)
    config = config_of(graph, path)
    done = add(config, _edited(path, edit))
    assert done.code == 4
    one_error(done, words=words)
    assert not folder.exists()


def test_another_contract_is_told_with_the_tensors_that_there_are(tmp_path: Path, folder: Path) -> None:
    graph, other = small("two-spectra", 4), small("waveform", 4)
    path = write_identity(tmp_path, graph)
    config = config_of(graph, path)
    done = add(config, write_identity(tmp_path, other))
    assert done.code == 4
    one_error(done, words=["small.onnx has no input 'spec_real'", "'mix'"])
    assert not folder.exists()


def test_axes_without_a_size_fit_until_the_chunk_shows_otherwise(tmp_path: Path, folder: Path) -> None:
    """The graph gives one sample less than it gets."""
    graph = small("waveform")
    constants = {"start": [0], "end": [-1], "axis": [2], "first": [1]}
    nodes = [
        helper.make_node("Slice", ["mix", "start", "end", "axis"], ["shorter"]),
        helper.make_node("Unsqueeze", ["shorter", "first"], ["stems"]),
    ]
    weights = [numpy_helper.from_array(np.array(value), name) for name, value in constants.items()]
    path = save(tmp_path / "small.onnx", graph, nodes, weights, dynamic=True)
    done = add(config_of(graph, path), path)
    assert done.code == 4
    one_error(done, words=["small.onnx gives 'stems' in the shape (1, 1, 2, 2999)", "(1, 1, 2, 3000)"])
    assert not folder.exists()


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("chunk_samples = 2750", "chunk_samples = 2751", []),
        ("chunk_samples = 2750", "chunk_samples = 2860", ["'spec_real'", "(1, 2, 129, 53)"]),
        ("hop = 55", "hop = 55\nhops = 3", ["small.toml", "'onnx.transform.hops' is unknown"]),
        ('"1 channel bin frame"', '"1 bin frame channel"', ["'spec_real'", "(1, 129, 51, 2)"]),
    ],
    ids=["same-frames", "other-frames", "unknown-key", "other-layout"],
)
def test_a_toml_of_other_shapes_is_told(old: str, new: str, words: list[str], tmp_path: Path, folder: Path) -> None:
    graph = small("two-spectra", 4)
    path = write_identity(tmp_path, graph)
    config = config_of(graph, path)
    text = config.read_text()
    assert old in text
    config.write_text(text.replace(old, new))
    done = add(config, path)
    assert done.code == (4 if words else 0)
    if words:
        one_error(done, words=words)
        assert not folder.exists()


def test_the_yaml_of_a_checkpoint_is_not_the_toml_of_an_onnx_file(tmp_path: Path, folder: Path) -> None:
    graph = small("waveform")
    path = write_identity(tmp_path, graph)
    (tmp_path / "x.yaml").write_text("audio:\n  chunk_size: 1\n")
    done = add(tmp_path / "x.yaml", path)
    assert done.code == 4
    one_error(done, words=["x.yaml is not valid TOML"])
    done = add(config_of(graph, path), path, "--architecture", "scnet")
    assert done.code == 2
    one_error(done, words=["--architecture is for checkpoints"])
    assert not folder.exists()
