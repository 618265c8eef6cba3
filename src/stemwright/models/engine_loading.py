"""Loads the engine of a registered model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from stemwright.errors import ModelUnavailableError
from stemwright.models import devices, weight_store
from stemwright.models.engine import MaskEngine, WaveformEngine
from stemwright.models.graph_templates import template_of
from stemwright.models.registry import Model
from stemwright.models.runtimes.onnx_providers import providers
from stemwright.models.weight_download import DownloadProgress, download

OnDownload = Callable[[DownloadProgress], None]
"""Called many times a second with the progress of a download."""

IsCancelled = Callable[[], bool]


def load_engine(
    model: Model, *, device: str, threads: int, is_cancelled: IsCancelled | None = None
) -> MaskEngine | WaveformEngine:
    """Reads and verifies the weights, downloading what is missing, and sets up the runtime.

    Raises:
        ModelUnavailableError: weights, runtime or device are not available.
    """
    if model.runtime == "onnx" and model.kind == "mask":
        from stemwright.models.runtimes.onnx import OnnxMaskEngine

        return OnnxMaskEngine(model, weight_store.load(model), device=device, threads=threads)
    if model.runtime == "onnx" and model.kind == "waveform":
        from stemwright.models.runtimes.onnx_waveform import OnnxWaveformEngine

        paths = fetch_weights(model, is_cancelled=is_cancelled)
        return OnnxWaveformEngine(model, paths, device=device, threads=threads)
    if model.runtime == "pytorch" and model.kind == "waveform" and devices.runtime_of(model, device) == "onnx":
        from stemwright.models.runtimes.onnx_waveform import OnnxWaveformEngine

        check_runtime(model, device)
        paths = fetch_weights(model, is_cancelled=is_cancelled)
        return OnnxWaveformEngine(model, paths, device=device, threads=threads, template=template_of(model))
    if model.runtime == "pytorch" and model.kind == "waveform":
        check_runtime(model, device)
        from stemwright.models.runtimes.pytorch import TorchWaveformEngine

        paths = fetch_weights(model, is_cancelled=is_cancelled)
        return TorchWaveformEngine(model, paths, device=device, threads=threads)
    raise ModelUnavailableError(
        f"{model.name} needs a {model.runtime} runtime for {model.kind} models, which this version does not support."
    )


def check_runtime(model: Model, device: str) -> None:
    """Checks that the runtime of a model can run it, before gigabytes are downloaded.

    Raises:
        ModelUnavailableError: PyTorch is not installed, or the runtime does not support the device.
    """
    if model.runtime != "pytorch":
        return
    if devices.runtime_of(model, device) == "onnx":
        import onnxruntime

        providers(device, onnxruntime.get_available_providers())
        return
    try:
        import torch  # noqa: F401  # checks that it is installed
    except ImportError:
        raise ModelUnavailableError(f"{model.name} needs PyTorch: pip install 'stemwright[torch]'.") from None
    from stemwright.models.runtimes.pytorch import find_device

    find_device(device)


def fetch_weights(
    model: Model, on_download: OnDownload | None = None, is_cancelled: IsCancelled | None = None
) -> list[Path]:
    """The files of a model, verified; those that are missing are downloaded first.

    Raises:
        ModelUnavailableError: a file is damaged, or not available.
        StorageError: not enough disk space.
        CancelledError: ``is_cancelled`` returned true.
    """
    paths = []
    for file in model.files:
        path = weight_store.find(file)
        if path is None and file.url:
            path = download(
                file,
                weight_store.weights_folder(),
                model_name=model.name,
                on_progress=on_download,
                is_cancelled=is_cancelled,
            )
        weight_store.verify(file)
        paths.append(path or file.path_in(weight_store.weights_folder()))
    return paths
