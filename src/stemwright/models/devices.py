"""Which runtime and which device a model would have here, found without importing PyTorch or ONNX Runtime."""

from __future__ import annotations

import importlib.util
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from stemwright.models.registry import Model

NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
"""Exists where Linux has loaded NVIDIA's driver."""

WINDOWS_DRIVER = Path("C:/Windows/System32/nvcuda.dll")


def has_runtime(model: Model) -> bool:
    """Whether the runtime of a model is installed. ONNX Runtime always is."""
    return model.runtime != "pytorch" or has_torch()


def has_torch() -> bool:
    """Whether PyTorch is installed."""
    try:
        return importlib.util.find_spec("torch") is not None
    except ValueError:  # a module that was made by hand, without a specification
        return True


def likely_device(model: Model, device: str) -> str:
    """The device that ``auto`` would probably take for a model: ``cpu``, ``cuda`` or ``mps``; others as they are."""
    if device != "auto":
        return device
    gpu = likely_gpu()
    if gpu is None:
        return "cpu"
    if model.runtime == "pytorch":
        return gpu if has_torch() and (gpu == "mps" or _is_cuda_build()) else "cpu"
    return "cuda" if gpu == "cuda" and _is_installed("onnxruntime-gpu") else "cpu"


def likely_gpu() -> str | None:
    """``cuda`` where NVIDIA's driver is, ``mps`` on a Mac with Apple's processor, else None."""
    if NVIDIA_DRIVER.exists() or WINDOWS_DRIVER.exists():
        return "cuda"
    return "mps" if platform.system() == "Darwin" and platform.machine() == "arm64" else None


@cache
def _is_cuda_build() -> bool:
    """Whether the installed PyTorch was built for CUDA: its own version file says for which one."""
    try:
        spec = importlib.util.find_spec("torch")
        if spec is None or spec.origin is None:
            return False
        lines = (Path(spec.origin).parent / "version.py").read_text(encoding="utf-8").splitlines()
    except (OSError, ValueError):
        return False
    return any(line.startswith("cuda") and not line.rstrip().endswith("None") for line in lines)


def _is_installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True
