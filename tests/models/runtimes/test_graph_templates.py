"""Graphs without weights, which ONNX Runtime runs with the weights of checkpoints, against the networks in PyTorch."""

from __future__ import annotations

import json
import lzma
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from benchmarks.ours import random_network
from stemwright.errors import ModelUnavailableError
from stemwright.models import devices, graph_templates, networks, registry
from stemwright.models.engine_loading import load_engine
from stemwright.models.graph_templates import GraphTemplate, template_of, templates
from stemwright.models.onnx_graphs import template as template_making
from stemwright.models.onnx_graphs.htdemucs import HTDemucsGraph
from stemwright.models.registry import Model
from stemwright.models.runtimes.onnx_waveform import OnnxWaveformEngine
from stemwright.models.weight_file import WeightFile
from tests.models import published

SMALL = replace(
    registry.find("htdemucs-6s"),
    options=published.options("htdemucs", registry.find("htdemucs-6s").labels),
    chunk_samples=published.CHUNK_SAMPLES,
)
PUBLISHED = ("htdemucs", "htdemucs-6s")


def small_template() -> GraphTemplate:
    return GraphTemplate.read(published.GRAPHS, "small")


def music(n_samples: int) -> NDArray[np.float32]:
    """Tones, noise, a silent stretch and an offset, ``(2, samples)``."""
    turns = 2 * np.pi * np.arange(n_samples) / 44_100
    tones = np.stack([np.sin(440 * turns) + np.sin(95 * turns), np.sin(441 * turns)])
    noise = np.random.default_rng(1).standard_normal((2, n_samples))
    mix = 0.2 * tones + 0.05 * noise + 0.01
    mix[:, n_samples // 3 : n_samples // 2] = 0
    return mix.astype(np.float32)


def package(folder: Path, model: Model, state: dict[str, torch.Tensor], name: str = "net.th") -> Path:
    """A file as Demucs publishes it."""
    path = folder / name
    halves = {key: tensor.half() for key, tensor in state.items()}
    kwargs = {**model.options, "segment": Fraction(model.options["segment"])}
    with published.demucs_class() as network:
        torch.save({"klass": network, "args": (), "kwargs": kwargs, "state": halves}, path)
    return path


def difference(model: Model, template: GraphTemplate, paths: list[Path], mix: NDArray[np.float32]) -> float:
    """Largest difference from PyTorch, relative to the peak of its output."""
    engine = OnnxWaveformEngine(model, paths, device="cpu", threads=2, template=template)
    found = engine.separate(mix[np.newaxis])[0]
    with torch.inference_mode():
        outputs: dict[str, NDArray[np.float32]] = {}
        for part in networks.load(model, paths):
            made = part.network(torch.from_numpy(mix)[None])[0].numpy()
            outputs |= {label: made[index] for label, index in part.output_indices.items()}
    wanted = np.stack([np.sum([outputs[label] for label in model.sources[stem]], axis=0) for stem in model.stems])
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


@pytest.fixture
def small_file(tmp_path: Path) -> Path:
    return published.demucs_package(tmp_path, labels=SMALL.labels)


@pytest.mark.parametrize("n_silent", [0, 40_000])
def test_the_small_graph_gives_what_pytorch_gives(n_silent: int, small_file: Path) -> None:
    mix = music(published.CHUNK_SAMPLES)
    mix[:, :n_silent] = 0
    assert difference(SMALL, small_template(), [small_file], mix) < 1e-5


def test_only_the_wanted_stems_are_made(small_file: Path) -> None:
    mix = music(published.CHUNK_SAMPLES)
    whole = OnnxWaveformEngine(SMALL, [small_file], device="cpu", threads=1, template=small_template())
    part = OnnxWaveformEngine(
        SMALL.restricted(("drums",)), [small_file], device="cpu", threads=1, template=small_template()
    )
    assert part.stems == ("drums",)
    np.testing.assert_array_equal(
        part.separate(mix[None])[0, 0], whole.separate(mix[None])[0, whole.stems.index("drums")]
    )


@pytest.mark.long
@pytest.mark.parametrize("name", PUBLISHED)
def test_the_graphs_of_published_networks_give_what_pytorch_gives(name: str, tmp_path: Path) -> None:
    model = registry.find(name)
    template = template_of(model)
    assert template is not None
    path = package(tmp_path, model, random_network(model).state_dict())
    assert difference(model, template, [path], music(model.chunk_samples)) <= 1e-4


@pytest.mark.long
def test_a_bag_gives_the_label_of_each_network(tmp_path: Path) -> None:
    """With the small graph: of each file the source at its own place is used."""
    state = published.weights("htdemucs", SMALL.options)
    paths = [
        package(tmp_path, SMALL, {name: tensor * (1 + 0.1 * index) for name, tensor in state.items()}, f"{index}.th")
        for index in range(len(SMALL.labels))
    ]
    bag = replace(SMALL, files=tuple(WeightFile(path.name, "", path.stat().st_size, "0" * 64) for path in paths))
    assert difference(bag, small_template(), paths, music(published.CHUNK_SAMPLES)) < 1e-5


@pytest.mark.parametrize("name", PUBLISHED)
def test_every_weight_of_a_published_network_has_its_name_in_the_graph(name: str) -> None:
    model = registry.find(name)
    template = template_of(model)
    assert template is not None and template.file is not None and template.file.name == f"{name}.onnx.xz"
    wanted = {
        key: tuple(one.shape) for key, one in networks.build(model.architecture, model.options).state_dict().items()
    }
    assert dict(template.shapes) == wanted
    graph = onnx.load_from_string(template.graph()).graph
    external = {
        one.name: tuple(one.dims) for one in graph.initializer if one.data_location == onnx.TensorProto.EXTERNAL
    }
    assert external == wanted
    used = {name for node in graph.node for name in node.input}
    assert wanted.keys() <= used
    stored = [int(np.prod(one.dims)) for one in graph.initializer if one.name not in external]
    assert max(stored) <= template_making.MAX_CONSTANT, "positions are computed, not stored"


def test_graphs_are_small_and_have_no_trace_of_the_machine_that_made_them() -> None:
    folder = Path(graph_templates.__file__).with_name(graph_templates.FOLDER)
    assert sum(path.stat().st_size for path in folder.iterdir()) < 200_000
    for template in templates():
        content = template.graph()
        assert sys.prefix.encode() not in content and b"/src/" not in content


def test_models_of_the_same_sizes_share_a_graph_and_others_have_none() -> None:
    names = {model.name: template_of(model) for model in registry.models()}
    assert {name for name, template in names.items() if template} == {"htdemucs", "htdemucs-ft", "htdemucs-6s"}
    assert names["htdemucs"] is names["htdemucs-ft"]
    htdemucs = registry.find("htdemucs")
    renamed = replace(htdemucs, options={**htdemucs.options, "sources": ["a", "b", "c", "d"]})
    assert template_of(renamed) is names["htdemucs"]
    for more in ({"sources": ["a", "b", "c"]}, {"t_heads": 4}, {"segment": 10}):
        assert template_of(replace(htdemucs, options={**htdemucs.options, **more})) is None
    assert template_of(replace(htdemucs, chunk_samples=441_000)) is None


def test_a_description_comes_back_as_it_was_written(tmp_path: Path) -> None:
    template = small_template()
    (tmp_path / "small.json").write_text(json.dumps(template.to_table()))
    assert replace(GraphTemplate.read(tmp_path, "small"), file=template.file) == template


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda state: state.pop("encoder.0.conv.weight"), r"encoder\.0\.conv\.weight is missing"),
        (lambda state: state.update(more=torch.ones(1)), "more is not a tensor of this network"),
        (
            lambda state: state.update({"encoder.0.conv.bias": torch.ones(9)}),
            r"encoder\.0\.conv\.bias has shape \(9,\) where \(8,\) is expected",
        ),
    ],
)
def test_a_checkpoint_of_another_network_is_told(change: Any, problem: str, tmp_path: Path) -> None:
    state = published.weights("htdemucs", SMALL.options)
    change(state)
    path = package(tmp_path, SMALL, state)
    with pytest.raises(ModelUnavailableError, match=f"{path} does not fit its network: {problem}"):
        OnnxWaveformEngine(SMALL, [path], device="cpu", threads=1, template=small_template())


@pytest.mark.long
def test_a_graph_is_made_anew_and_gives_what_pytorch_gives(small_file: Path, tmp_path: Path) -> None:
    """As ``scripts/graph-templates`` makes it, with the packages that are installed now."""
    network = networks.build("htdemucs", SMALL.options).to_empty(device="cpu").eval()
    graph = HTDemucsGraph(network, SMALL.chunk_samples).eval()  # type: ignore[arg-type]
    made = template_making.without_weights(graph)
    file = tmp_path / "small.onnx.xz"
    file.write_bytes(lzma.compress(made.content, preset=0))
    template = replace(small_template(), file=file, contract=graph.contract, shapes=made.shapes)
    assert difference(SMALL, template, [small_file], music(SMALL.chunk_samples)) < 1e-5


@pytest.mark.long
def test_a_weight_that_the_graph_lost_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """A network with a tensor that no operation reads."""
    network = networks.build("htdemucs", {**SMALL.options, "depth": 1, "t_layers": 0, "dconv_mode": 0}).to_empty(
        device="cpu"
    )
    network.register_buffer("idle", torch.ones(2))
    with pytest.raises(ModelUnavailableError, match="The graph lacks tensors of the network: idle"):
        template_making.without_weights(HTDemucsGraph(network, 11_025).eval())  # type: ignore[arg-type]


@pytest.fixture
def with_runtime(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A processor without bfloat16, in a file that tests may change."""
    info = tmp_path / "cpuinfo"
    info.write_text("flags : avx2\n")
    monkeypatch.setattr(devices, "CPU_INFO", info)
    monkeypatch.setattr(devices, "likely_gpu", lambda: None)
    for name in ("STEMWRIGHT_RUNTIME", "STEMWRIGHT_PRECISION"):
        monkeypatch.delenv(name, raising=False)
    yield info


@pytest.mark.parametrize(
    ("flags", "precision", "gpu", "torch_is_there", "wanted"),
    [
        ("avx2", None, None, True, "onnx"),
        ("avx2", None, None, False, "onnx"),
        ("avx512_bf16", None, None, True, "pytorch"),
        ("avx512_bf16", None, None, False, "onnx"),
        ("avx512_bf16", "float32", None, True, "onnx"),
        ("avx2", "bfloat16", None, True, "pytorch"),
        ("avx2", None, "mps", True, "pytorch"),
        ("avx2", None, "mps", False, "onnx"),
    ],
)
def test_the_faster_runtime_is_taken(
    flags: str,
    precision: str | None,
    gpu: str | None,
    torch_is_there: bool,
    wanted: str,
    with_runtime: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with_runtime.write_text(f"flags : {flags}\n")
    monkeypatch.setattr(devices, "likely_gpu", lambda: gpu)
    monkeypatch.setattr(devices, "has_torch", lambda: torch_is_there)
    if precision:
        monkeypatch.setenv("STEMWRIGHT_PRECISION", precision)
    model = registry.find("htdemucs-6s")
    assert devices.runtime_of(model, "auto") == wanted
    assert devices.has_runtime(model)
    assert devices.runtime_of(registry.find("scnet-large"), "auto") == "pytorch", "it has no graph"
    for forced in ("onnx", "pytorch"):
        monkeypatch.setenv("STEMWRIGHT_RUNTIME", forced)
        assert devices.runtime_of(model, "cpu") == forced


def test_memory_is_that_of_the_runtime(with_runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = registry.find("htdemucs-6s")
    for runtime, memory_mb in (("onnx", model.onnx_memory_mb), ("pytorch", model.memory_mb)):
        monkeypatch.setenv("STEMWRIGHT_RUNTIME", runtime)
        assert devices.memory_bytes_of(model) == memory_mb * 10**6 + model.size_bytes
        scnet = registry.find("scnet-large")
        assert devices.memory_bytes_of(scnet) == scnet.memory_mb * 10**6 + scnet.size_bytes, "it has no graph"
        assert devices.memory_bytes_of(registry.find("mdx-net-kim-vocal-2")) == 0, "nobody measured it"


def test_another_runtime_is_refused(with_runtime: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMWRIGHT_RUNTIME", "tensorflow")
    with pytest.raises(
        ModelUnavailableError, match="STEMWRIGHT_RUNTIME is 'tensorflow'; set it to auto, onnx, pytorch"
    ):
        devices.runtime_of(registry.find("htdemucs"), "cpu")


def test_a_device_that_the_runtime_has_not_is_told_before_a_download(
    with_runtime: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "has_torch", lambda: False)
    with pytest.raises(ModelUnavailableError, match="has no device cuda: install onnxruntime-gpu"):
        load_engine(registry.find("htdemucs-6s"), device="cuda", threads=1)


def test_nothing_of_pytorch_or_onnx_is_imported(small_file: Path) -> None:
    script = f"""
import sys
for name in ("torch", "onnx", "onnxscript", "safetensors", "yaml"):
    sys.modules[name] = None
from dataclasses import replace
from pathlib import Path
import numpy as np
from stemwright.models import registry
from stemwright.models.graph_templates import GraphTemplate
from stemwright.models.runtimes.onnx_waveform import OnnxWaveformEngine
template = GraphTemplate.read(Path({str(published.GRAPHS)!r}), "small")
model = replace(registry.find("htdemucs-6s"), chunk_samples=template.chunk_samples)
engine = OnnxWaveformEngine(model, [Path({str(small_file)!r})], device="cpu", threads=1, template=template)
stems = engine.separate(np.random.default_rng(0).uniform(-0.5, 0.5, (1, 2, template.chunk_samples)).astype(np.float32))
print(stems.shape, bool(stems.any()))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.split("\n")[0] == f"(1, 6, 2, {published.CHUNK_SAMPLES}) True"
