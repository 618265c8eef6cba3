"""ONNX Runtime's execution providers for the devices of ``--device``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from stemwright.errors import ModelUnavailableError

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "mps": "CoreMLExecutionProvider",
}
"""Device to provider; CoreML uses Apple's GPU and neural engine."""

REMEDIES = {
    "cuda": "install onnxruntime-gpu in place of onnxruntime, or use --device cpu",
    "mps": "it needs macOS; use --device cpu",
}


@dataclass(frozen=True)
class Provider:
    """An execution provider and its options."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict)


def providers(device: str, available: Sequence[str]) -> list[Provider]:
    """The providers of a device, the preferred one first and the CPU last, which runs what another does not support.

    Raises:
        ModelUnavailableError: the installed ONNX Runtime does not have it.
    """
    if device == "auto":
        names = [name for name in (PROVIDERS["cuda"], PROVIDERS["cpu"]) if name in available]
    elif PROVIDERS[device] not in available:
        raise ModelUnavailableError(f"This machine's ONNX Runtime has no device {device}: {REMEDIES[device]}.")
    else:
        names = [PROVIDERS[device], PROVIDERS["cpu"]] if device != "cpu" else [PROVIDERS["cpu"]]
    return [Provider(name) for name in names]
