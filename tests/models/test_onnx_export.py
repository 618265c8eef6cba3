"""Networks of all architectures at small size, exported and run in ONNX Runtime against PyTorch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from numpy.typing import NDArray

from stemwright.errors import ModelUnavailableError, UsageError
from stemwright.models import networks, onnx_export, registry
from stemwright.models.onnx_config import OnnxConfig
from stemwright.models.registry import Model
from stemwright.models.runtimes.onnx_waveform import OnnxWaveformEngine
from stemwright.models.weight_file import WeightFile
from tests.models.published import LABELS, options, weights

CHUNK_SAMPLES = 11_025
SOURCES = {"vocals": ("vocals",), "drums": ("drums",), "bass": ("bass",), "fx": ("other",)}

CASES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "bs_roformer": ("bs_roformer", {}),
    "polar": ("bs_roformer", {"use_pope": True, "skip_connection": True, "zero_dc": False}),
    "linear": ("bs_roformer", {"linear_transformer_depth": 1, "stft_normalized": True}),
    "mel_band_roformer": ("mel_band_roformer", {}),
    "scnet": ("scnet", {}),
    "scnet_masked": ("scnet", {"masked": True, "normalize_spectrum": True}),
    "htdemucs": ("htdemucs", {"segment": 0.5}),
    "mdx23c": ("mdx23c", {"normalize": True}),
}


def model_of(folder: Path, architecture: str, more: Mapping[str, Any], n_files: int = 1) -> tuple[Model, list[Path]]:
    made = {**options(architecture), **more}
    paths = []
    for index in range(n_files):
        tensors = {name: tensor * (1 + 0.1 * index) for name, tensor in weights(architecture, made).items()}
        paths.append(folder / f"{architecture}-{index}.ckpt")
        torch.save(tensors, paths[-1])
    model = Model(
        name="small",
        title="Small",
        runtime="pytorch",
        kind="waveform",
        files=tuple(WeightFile(path.name, "", path.stat().st_size, "0" * 64) for path in paths),
        licence="MIT",
        licence_code="MIT",
        sample_rate_hz=44_100,
        labels=LABELS,
        sources=SOURCES,
        architecture=architecture,
        options=made,
        chunk_samples=CHUNK_SAMPLES,
        overlap=0.25,
    )
    return model, paths


def music(n_samples: int) -> NDArray[np.float32]:
    turns = 2 * np.pi * np.arange(n_samples) / 44_100
    tones = np.stack([np.sin(440 * turns) + np.sin(95 * turns), np.sin(441 * turns)])
    noise = np.random.default_rng(1).standard_normal((2, n_samples))
    return (0.2 * tones + 0.05 * noise).astype(np.float32)


def in_torch(model: Model, paths: list[Path], mix: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    with torch.inference_mode():
        outputs: dict[str, NDArray[np.float32]] = {}
        for part in networks.load(model, paths):
            made = part.network(torch.from_numpy(mix)[None])[0].numpy()
            outputs |= {label: made[index] for label, index in part.output_indices.items()}
    return {stem: outputs[labels[0]] for stem, labels in model.sources.items()}


def exported(config: Path, model: Model) -> Model:
    found = OnnxConfig.read(config)
    return replace(
        model,
        runtime="onnx",
        labels=found.labels,
        onnx=found.onnx,
        sources=found.sources,
        chunk_samples=found.chunk_samples,
    )


LONG = pytest.mark.long
"""An export takes four to eight seconds, most of them in PyTorch's exporter."""


@pytest.mark.parametrize("case", ["mdx23c", *(pytest.param(case, marks=LONG) for case in CASES if case != "mdx23c")])
def test_onnx_runtime_gives_what_pytorch_gives(case: str, tmp_path: Path) -> None:
    model, paths = model_of(tmp_path, *CASES[case])
    done = onnx_export.export(model, paths, tmp_path / "small.onnx")
    assert done.error < 1e-5
    mix = music(CHUNK_SAMPLES)
    engine = OnnxWaveformEngine(exported(done.config, model), [done.graph], device="cpu", threads=1)
    wanted = in_torch(model, paths, mix)
    for stem, samples in zip(engine.stems, engine.separate(mix[None])[0], strict=True):
        np.testing.assert_allclose(samples, wanted[stem], atol=1e-4 * np.abs(wanted[stem]).max())
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".ckpt", ".onnx", ".toml"]


@LONG
def test_a_bag_becomes_one_file_in_which_each_network_gives_its_label(tmp_path: Path) -> None:
    model, paths = model_of(tmp_path, "htdemucs", {"segment": 0.25, "depth": 2}, n_files=4)
    done = onnx_export.export(model, paths, tmp_path / "small.onnx")
    mix = music(CHUNK_SAMPLES)
    engine = OnnxWaveformEngine(exported(done.config, model), [done.graph], device="cpu", threads=1)
    wanted = in_torch(model, paths, mix)
    for stem, samples in zip(engine.stems, engine.separate(mix[None])[0], strict=True):
        np.testing.assert_allclose(samples, wanted[stem], atol=1e-4 * np.abs(wanted[stem]).max())


@LONG
def test_half_precision_halves_the_file_and_no_more_than_rounds_the_weights(tmp_path: Path) -> None:
    model, paths = model_of(tmp_path, "bs_roformer", {"dim": 64, "mlp_expansion_factor": 4})
    full = onnx_export.export(model, paths, tmp_path / "full.onnx")
    half = onnx_export.export(model, paths, tmp_path / "half.onnx", half=True)
    assert half.error < 1e-5
    assert half.graph.stat().st_size < 0.6 * full.graph.stat().st_size
    mix = music(CHUNK_SAMPLES)
    stems = [
        OnnxWaveformEngine(exported(one.config, model), [one.graph], device="cpu", threads=1).separate(mix[None])
        for one in (full, half)
    ]
    assert 0 < np.abs(stems[0] - stems[1]).max() < 0.02 * np.abs(stems[0]).max()


@LONG
def test_a_file_has_no_trace_of_the_machine_that_made_it(tmp_path: Path) -> None:
    model, paths = model_of(tmp_path, "mdx23c", {})
    content = onnx_export.export(model, paths, tmp_path / "small.onnx").graph.read_bytes()
    assert str(Path(onnx_export.__file__).parent).encode() not in content
    assert sys.prefix.encode() not in content
    graph = onnx.load_from_string(content)
    assert {one.domain: one.version for one in graph.opset_import}[""] == onnx_export.OPSET


@LONG
@pytest.mark.parametrize("earlier", [b"earlier", None])
def test_what_differs_is_not_kept(earlier: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph that takes the wrong bins."""
    from stemwright.models.onnx_graphs.mdx23c import MDX23CGraph

    right = MDX23CGraph.forward
    monkeypatch.setattr(MDX23CGraph, "forward", lambda self, spectrum: right(self, spectrum.flip(3)))
    model, paths = model_of(tmp_path, "mdx23c", {})
    out = tmp_path / "out" / "small.onnx"
    out.parent.mkdir()
    if earlier is not None:
        out.write_bytes(earlier)
    with pytest.raises(ModelUnavailableError, match=r"gives other samples than PyTorch, by .* of the peak where 1e-04"):
        onnx_export.export(model, paths, out)
    assert [path.name for path in out.parent.iterdir()] == (["small.onnx"] if earlier else [])
    assert not earlier or out.read_bytes() == earlier


@pytest.mark.parametrize("package", ["torch", "onnx", "onnxscript"])
def test_a_missing_package_is_told(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "stemwright.models.onnx_export.find_spec", lambda name: None if name == package else find_spec(name)
    )
    model, paths = model_of(tmp_path, "mdx23c", {})
    with pytest.raises(ModelUnavailableError, match=rf"needs the package {package}: .*stemwright\[export\]"):
        onnx_export.export(model, paths, tmp_path / "small.onnx")


def test_what_is_no_network_of_pytorch_or_no_name_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="does not run in PyTorch"):
        onnx_export.export(registry.find("stemwright-12"), [], tmp_path / "small.onnx")
    model, paths = model_of(tmp_path, "mdx23c", {})
    with pytest.raises(UsageError, match="mask head of HyperACE, which is not exported"):
        onnx_export.export(registry.find("bs-roformer-hyperace-vocals"), [], tmp_path / "ace.onnx")
    with pytest.raises(UsageError, match=r"end it in \.onnx"):
        onnx_export.export(model, paths, tmp_path / "small.pt")


@LONG
def test_the_file_runs_where_torch_cannot_be_imported(tmp_path: Path) -> None:
    model, paths = model_of(tmp_path, "mdx23c", {})
    done = onnx_export.export(model, paths, tmp_path / "small.onnx")
    script = f"""
import sys
sys.modules["torch"] = sys.modules["onnx"] = None
import os
os.environ["STEMWRIGHT_MODELS_DIR"] = {str(tmp_path / "models")!r}
from pathlib import Path
import numpy as np
from stemwright.models import user_models
from stemwright import Separator
user_models.add("mine", Path({str(done.config)!r}), Path({str(done.graph)!r}))
song = np.random.default_rng(0).uniform(-0.5, 0.5, (2, 30_000)).astype(np.float32)
stems = Separator("mine").separate(song, 44_100, "vocals,drums")
print(float(abs(sum(stems.values()) - song).max()))
"""
    done_in = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert float(done_in.stdout) < 1e-6
