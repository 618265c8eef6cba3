from __future__ import annotations

import sys
from pathlib import Path

import pytest

from stemwright.models import devices, registry

TORCH_MODEL = registry.find("scnet-large")
ONNX_MODEL = registry.find("stemwright-12")


@pytest.fixture(autouse=True)
def no_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A Linux machine on which a driver may be put."""
    monkeypatch.setattr(devices, "NVIDIA_DRIVER", tmp_path / "driver")
    monkeypatch.setattr("platform.system", lambda: "Linux")
    return tmp_path / "driver"


def test_without_a_driver_it_is_the_processor() -> None:
    assert devices.likely_gpu() is None
    assert devices.likely_device(TORCH_MODEL, "auto") == devices.likely_device(ONNX_MODEL, "auto") == "cpu"


@pytest.mark.parametrize("device", ["cpu", "cuda", "mps"])
def test_a_named_device_stays(device: str) -> None:
    assert devices.likely_device(TORCH_MODEL, device) == device


@pytest.mark.parametrize(("is_cuda_build", "expected"), [(True, "cuda"), (False, "cpu")])
def test_pytorch_must_be_built_for_the_gpu(
    no_driver: Path, monkeypatch: pytest.MonkeyPatch, is_cuda_build: bool, expected: str
) -> None:
    no_driver.touch()
    monkeypatch.setattr(devices, "_is_cuda_build", lambda: is_cuda_build)
    assert devices.likely_device(TORCH_MODEL, "auto") == expected
    assert devices.likely_device(ONNX_MODEL, "auto") == "cpu", "onnxruntime-gpu is not installed"
    monkeypatch.setattr(devices, "_is_installed", lambda package: package == "onnxruntime-gpu")
    assert devices.likely_device(ONNX_MODEL, "auto") == "cuda"


def test_the_version_file_of_pytorch_says_what_it_was_built_for() -> None:
    torch = pytest.importorskip("torch")
    devices._is_cuda_build.cache_clear()
    assert devices._is_cuda_build() == (torch.version.cuda is not None)


def test_a_mac_with_apples_processor_has_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("platform.system", lambda: "Darwin")
    monkeypatch.setattr("platform.machine", lambda: "arm64")
    assert devices.likely_device(TORCH_MODEL, "auto") == "mps"
    monkeypatch.setattr("platform.machine", lambda: "x86_64")
    assert devices.likely_device(TORCH_MODEL, "auto") == "cpu"


def test_the_runtime_is_found_without_being_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    assert devices.has_runtime(ONNX_MODEL)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert not devices.has_torch()
    assert not devices.has_runtime(TORCH_MODEL)
    assert devices.has_runtime(ONNX_MODEL)
