"""Which runtime and which device a model would have here, found without importing PyTorch or ONNX Runtime."""

from __future__ import annotations

import importlib.util
import os
import platform
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from stemwright.errors import ModelUnavailableError
from stemwright.formatting import short_name
from stemwright.models.graph_templates import template_of
from stemwright.models.registry import Model

NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
"""Exists where Linux has loaded NVIDIA's driver."""

WINDOWS_DRIVER = Path("C:/Windows/System32/nvcuda.dll")


CPU_INFO = Path("/proc/cpuinfo")
BF16_FLAGS = {"avx512_bf16", "amx_bf16", "bf16"}
"""CPU flags of bfloat16 support on Linux."""

RUNTIMES = ("auto", "onnx", "pytorch")
"""Values of ``STEMWRIGHT_RUNTIME``."""


def runtime_of(model: Model, device: str) -> str:
    """The runtime that a model has: ``onnx`` or ``pytorch``.

    Some networks run in both (``graph_templates``). ``STEMWRIGHT_RUNTIME`` says which, or by default the faster one, as
    ``make bench-models`` measures it: PyTorch on GPUs and in bfloat16, ONNX Runtime otherwise.

    Args:
        model: the model.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.

    Raises:
        ModelUnavailableError: ``STEMWRIGHT_RUNTIME`` has another value.
    """
    wanted = os.environ.get("STEMWRIGHT_RUNTIME", "auto")
    if wanted not in RUNTIMES:
        raise ModelUnavailableError(f"STEMWRIGHT_RUNTIME is '{short_name(wanted)}'; set it to {', '.join(RUNTIMES)}.")
    if template_of(model) is None:
        return model.runtime
    if wanted != "auto":
        return wanted
    if not has_torch():
        return "onnx"
    precision = os.environ.get("STEMWRIGHT_PRECISION", "auto")
    if _torch_device(device) == "cpu" and (precision == "float32" or (precision == "auto" and not has_bf16())):
        return "onnx"
    return "pytorch"


def runtimes_of(model: Model) -> tuple[str, ...]:
    """The runtimes that can run a model."""
    return ("onnx", "pytorch") if template_of(model) is not None else (model.runtime,)


def has_runtime(model: Model) -> bool:
    """Whether a runtime of a model is installed. ONNX Runtime always is."""
    return runtime_of(model, "auto") != "pytorch" or has_torch()


def memory_bytes_of(model: Model) -> int:
    """Memory that a model takes on a CPU, with its weights, in the runtime that it has here; 0 if unknown."""
    in_onnx = model.onnx_memory_mb and runtime_of(model, "auto") == "onnx"
    memory_mb = model.onnx_memory_mb if in_onnx else model.memory_mb
    return memory_mb * 10**6 + model.size_bytes if memory_mb else 0


def has_bf16() -> bool:
    """Whether this CPU supports bfloat16; without support it is seven times slower than float32."""
    try:
        flags = CPU_INFO.read_text(encoding="ascii", errors="replace").split()
    except OSError:
        return False
    return not BF16_FLAGS.isdisjoint(flags)


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
    if runtime_of(model, device) == "pytorch":
        return _torch_device(device)
    return "cuda" if likely_gpu() == "cuda" and _is_installed("onnxruntime-gpu") else "cpu"


def _torch_device(device: str) -> str:
    """The device that PyTorch would have."""
    gpu = likely_gpu()
    if device != "auto" or gpu is None:
        return "cpu" if device == "auto" else device
    return gpu if has_torch() and (gpu == "mps" or _is_cuda_build()) else "cpu"


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
