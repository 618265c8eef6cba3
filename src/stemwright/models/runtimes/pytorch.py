"""PyTorch: runs published networks on a CPU, an NVIDIA GPU or an Apple GPU.

Precision: networks run under autocast where half precision is faster: ``float16`` on CUDA, ``bfloat16`` on CPUs that
support it (AVX512-BF16, AMX, Arm's BF16). STFTs and masks stay in float32 (docs/models.md gives the error). A chunk
that overflows in half precision is run again in float32.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any, Literal, cast, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from stemwright.errors import ModelUnavailableError
from stemwright.models import networks
from stemwright.models.devices import has_bf16
from stemwright.models.engine import ChunkSize
from stemwright.models.registry import REMAINDER_LABEL, Model

Samples = NDArray[np.float32]
Precision = Literal["float32", "bfloat16", "float16"]

MAX_BATCH = 16
"""Largest batch in chunks: larger ones are not faster on GPUs."""

MEMORY_SHARE = 0.8
"""Fraction of the GPU's free memory for a batch, since the allocator fragments it."""

FLOAT32_ON_CPU = ("mdx23c",)
"""Architectures that run in float32 on CPUs: their bfloat16 error is not 40 dB below the output, but 17.9 dB with
random weights at published size."""

_IMPORT_PID = os.getpid()
"""The process that imported PyTorch. In a forked process the OpenMP threads do not exist, and running with more than
one thread would wait for them for ever."""


def _is_forked() -> bool:
    return os.getpid() != _IMPORT_PID


def _set_threads(threads: int) -> None:
    torch.set_num_threads(1 if _is_forked() else threads)


class TorchWaveformEngine:
    """A network, or a bag of networks with one label each.

    Args:
        model: the model.
        paths: its verified files.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        threads: CPU threads.

    Raises:
        ModelUnavailableError: a file does not fit the network, or the device is not available.
    """

    def __init__(self, model: Model, paths: Sequence[Path], *, device: str, threads: int) -> None:
        self._device = find_device(device)
        self.precision = _precision(self._device, model.architecture)
        _set_threads(threads)
        self._parts = [
            (_moved(part.network, self._device), part.output_indices) for part in networks.load(model, paths)
        ]
        self._sources = [model.sources[stem] for stem in model.stems]
        self._max_batch = MAX_BATCH
        self._batch: int | None = None
        self.name = model.identity
        self.stems = model.stems
        self.sample_rate = model.sample_rate_hz
        self.overlapping = model.overlapping
        self.chunk = ChunkSize(model.chunk_samples, int(model.chunk_samples * model.overlap))

    @property
    def batch(self) -> int:
        """Chunks per call: as many as fit into the free memory of a GPU, one on a CPU."""
        if self._batch is None:
            self._batch = self._largest_batch() if self._device.type == "cuda" else 1
        return self._batch

    def separate(self, chunks: Samples) -> Samples:
        """``(batch, 2, samples)`` -> ``(batch, stems, 2, samples)``.

        Raises:
            ModelUnavailableError: a single chunk does not fit into the memory of the device.
        """
        if _is_forked():
            if self._device.type == "cuda":
                raise ModelUnavailableError(
                    "A GPU cannot be used in a process that was forked from one that uses it: start the process with "
                    "multiprocessing's spawn, or create the Separator in it."
                )
            _set_threads(1)
        done: list[Samples] = []
        start = 0
        while start < len(chunks):
            part = chunks[start : start + self._max_batch]
            try:
                done.append(self._separate(part))
            except (RuntimeError, MemoryError) as error:
                if not _ran_out_of_memory(error):
                    raise
                if len(part) == 1:
                    remedy = "close other programs" if self._device.type == "cpu" else "use --device cpu"
                    raise ModelUnavailableError(
                        f"{self.name} does not fit into the memory of {self._device}; {remedy}."
                    ) from error
                # Another process uses the memory now: continue with half the batch.
                self._max_batch = len(part) // 2
                if self._device.type == "cuda":
                    torch.cuda.empty_cache()
                continue
            start += len(part)
        return np.concatenate(done)

    @torch.inference_mode()
    def _separate(self, chunks: Samples) -> Samples:
        song = torch.from_numpy(np.ascontiguousarray(chunks))
        if self._device.type == "cuda":
            song = song.pin_memory()
        song = song.to(self._device, non_blocking=True)
        stems = self._stems(song, self.precision)
        if self.precision == "float16" and not bool(stems.isfinite().all()):
            stems = self._stems(song, "float32")
        if self._device.type == "cuda":
            back = torch.empty(stems.shape, dtype=stems.dtype, pin_memory=True)
            back.copy_(stems, non_blocking=True)
            torch.cuda.synchronize()
            stems = back
        return cast(Samples, stems.cpu().numpy())

    def _stems(self, song: Tensor, precision: Precision) -> Tensor:
        """``(batch, 2, samples)`` -> ``(batch, stems, 2, samples)``."""
        half = precision != "float32"
        outputs: dict[str, Tensor] = {}
        with torch.autocast(self._device.type, getattr(torch, precision)) if half else nullcontext():
            for network, output_indices in self._parts:
                labelled = network(song).float()  # (batch, labels, 2, samples)
                outputs |= {label: labelled[:, index] for label, index in output_indices.items()}
        if any(REMAINDER_LABEL in labels for labels in self._sources):
            outputs[REMAINDER_LABEL] = song - torch.stack(list(outputs.values())).sum(0)
        return torch.stack([_sum([outputs[label] for label in labels]) for labels in self._sources], 1)

    def _largest_batch(self) -> int:
        """Runs one chunk to measure its memory."""
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        self.separate(np.zeros((1, 2, self.chunk.length), np.float32))
        taken = max(1, torch.cuda.max_memory_allocated() - before)
        torch.cuda.empty_cache()
        free, _ = torch.cuda.mem_get_info()
        return max(1, min(MAX_BATCH, int(MEMORY_SHARE * free / taken)))


OUT_OF_MEMORY = ("out of memory", "not enough memory", "can't allocate memory")
"""What errors of Apple GPUs, and of CPUs on Windows and on Linux say (c10/core/impl/alloc_cpu.cpp)."""


def _ran_out_of_memory(error: RuntimeError | MemoryError) -> bool:
    """CUDA has an error class; for Apple GPUs and CPUs only the message says so."""
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return True
    message = str(error).lower()
    return any(words in message for words in OUT_OF_MEMORY)


def _sum(tensors: Sequence[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else torch.stack(list(tensors)).sum(0)


def _moved(network: nn.Module, device: torch.device) -> Any:
    """The network on its device, compiled if ``STEMWRIGHT_COMPILE=1``, which takes minutes once."""
    network.to(device)
    return torch.compile(network, dynamic=False) if os.environ.get("STEMWRIGHT_COMPILE") == "1" else network


def find_device(name: str) -> torch.device:
    """The device of that name; ``auto`` is the best available one.

    Raises:
        ModelUnavailableError: this machine does not have it.
    """
    has = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if has[kind]))
    if not has[name]:
        raise ModelUnavailableError(
            f"PyTorch {torch.__version__} has no device {name} on this machine; use --device cpu."
        )
    return torch.device(name)


def _precision(device: torch.device, architecture: str) -> Precision:
    """``STEMWRIGHT_PRECISION``, or the fastest one without audible error."""
    requested = os.environ.get("STEMWRIGHT_PRECISION", "auto")
    if requested in get_args(Precision):
        return cast(Precision, requested)
    if requested != "auto":
        raise ModelUnavailableError(
            f"STEMWRIGHT_PRECISION is '{requested}'; set it to auto, {', '.join(get_args(Precision))}."
        )
    if device.type == "cuda":
        return "float16"
    return "bfloat16" if device.type == "cpu" and has_bf16() and architecture not in FLOAT32_ON_CPU else "float32"
