"""What this machine has: processors, memory, disk, runtimes and their devices."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path
from typing import Any

from stemwright.errors import StemwrightError


def machine_facts() -> dict[str, Any]:
    """The facts, ready for JSON."""
    import av
    import onnxruntime

    import stemwright
    from stemwright.cache import cache_folder, writable_cache_folder
    from stemwright.cpu_memory_limits import cores, free_memory_bytes, memory_bytes

    try:
        writable = bool(writable_cache_folder())
    except StemwrightError:
        writable = False
    return {
        "stemwright": stemwright.__version__,
        "python": platform.python_version(),
        "system": platform.platform(),
        "runtime": f"ONNX Runtime {onnxruntime.__version__}",
        "providers": list(onnxruntime.get_available_providers()),
        "torch": _version("torch"),
        "torch_devices": _torch_devices(),
        "pyav": av.__version__,
        "ffmpeg": {name: ".".join(map(str, numbers)) for name, numbers in av.library_versions.items()},
        "cores": cores(),
        "memory_bytes": memory_bytes(),
        "memory_available_bytes": free_memory_bytes(),
        "disk_free_bytes": shutil.disk_usage(Path()).free,
        "cache_dir": str(cache_folder()),
        "cache_writable": writable,
    }


def _torch_devices() -> list[str]:
    """The devices that PyTorch can use; empty if it is not installed."""
    from stemwright.models.devices import has_torch

    if not has_torch():
        return []
    import torch

    gpus = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return ["cpu", *gpus, *(["mps"] if torch.backends.mps.is_available() else [])]


def _version(package: str) -> str | None:
    from importlib.metadata import PackageNotFoundError, version  # a tenth of the time that --help takes

    try:
        return version(package)
    except PackageNotFoundError:
        return None
