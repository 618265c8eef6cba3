"""ONNX Runtime: runs published separators as their contract says, without PyTorch."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from stemwright.errors import ModelUnavailableError
from stemwright.models.engine import ChunkSize
from stemwright.models.graph_templates import GraphTemplate
from stemwright.models.onnx_contract import GraphTensor, OnnxContract
from stemwright.models.registry import REMAINDER_LABEL, Model
from stemwright.models.runtimes.chunk_stft import ChunkStft
from stemwright.models.runtimes.onnx_providers import providers
from stemwright.models.runtimes.onnx_session import OnnxSession
from stemwright.models.weight_arrays import WeightArrays

Samples = NDArray[np.float32]
Spectrum = NDArray[np.complex64]

_LEAST_DEVIATION = 1e-8
"""Chunks with a smaller standard deviation are silent, and not scaled."""


class OnnxWaveformEngine:
    """A separator in an ONNX file, or a bag of files with one label each.

    Args:
        model: the model, with its contract, unless it has a template.
        paths: its verified files: ONNX files, or the checkpoints of a template.
        template: the graph of the network, which gets its weights from the checkpoints; None for ONNX files.
        device: a device of ``--device``.
        threads: CPU threads.

    Raises:
        ModelUnavailableError: a file does not fit its contract, or the device is not available.
    """

    batch = 1
    """One chunk: the graphs of most published files have a batch of one."""

    def __init__(
        self,
        model: Model,
        paths: Sequence[Path],
        *,
        device: str,
        threads: int,
        template: GraphTemplate | None = None,
    ) -> None:
        import onnxruntime

        if template is not None:
            model = replace(model, onnx=template.contract)
        if model.onnx is None:
            raise ModelUnavailableError(
                f"{model.name} has no contract, which says what the tensors of {paths[0].name} mean."
            )
        self._contract: OnnxContract = model.onnx
        self._sources = [model.sources[stem] for stem in model.stems]
        self._sizes = sizes_of(model, self._contract)
        self._threads = threads
        wanted = {label for labels in self._sources for label in labels}
        self._labels = {
            label: index for index, label in enumerate(model.labels) if label in wanted or REMAINDER_LABEL in wanted
        }
        self._graphs: list[_Graph] = []
        for place, path in enumerate(paths):  # each file of a bag is used for the label at its own index
            indices = [index for index in self._labels.values() if len(paths) == 1 or index == place]
            if not indices:
                continue
            session = OnnxSession(
                path if template is None else template.graph(),
                f"{model.name} ({path.name})",
                providers=providers(device, onnxruntime.get_available_providers()),
                threads=threads,
                keeps_memory=template is not None and len(paths) == 1,
                weights=None if template is None else _weights_of(path, template),
            )
            check_graph(session, self._contract, self._sizes, path.name)
            self._graphs.append(_Graph(session, path.name, tuple(indices)))
        transform = self._contract.transform
        self._stft = ChunkStft(transform, self._sizes["sample"]) if transform is not None else None
        self.name = model.identity
        self.stems = model.stems
        self.sample_rate = model.sample_rate_hz
        self.overlapping = model.overlapping
        self.chunk = ChunkSize(model.chunk_samples, int(model.chunk_samples * model.overlap))

    def separate(self, chunks: Samples) -> Samples:
        """``(batch, 2, samples)`` -> ``(batch, stems, 2, samples)``.

        Raises:
            ModelUnavailableError: an output has another shape than the contract says, or is not finite.
        """
        return np.stack([self._separate(chunk) for chunk in chunks])

    def _separate(self, chunk: Samples) -> Samples:
        """``(2, samples)`` -> ``(stems, 2, samples)``."""
        mean, deviation = self._statistics(chunk)
        margin = self._contract.margin_samples
        mix = np.pad((chunk - mean) / deviation, ((0, 0), (margin, margin + self._contract.tail_samples)))
        spectrum = None if self._stft is None else self._stft.forward(mix)  # (2, frames, bins of the FFT)
        inputs = self._inputs(mix, spectrum)
        inside = slice(margin, margin + chunk.shape[1])
        found: dict[int, Samples] = {}
        for graph in self._graphs:
            outputs = self._outputs(graph, inputs)

            def waveform(index: int, outputs: Mapping[str, Samples] = outputs) -> Samples:
                return self._waveform(outputs, index, spectrum)[:, inside] * deviation + mean

            with ThreadPoolExecutor(self._threads) as pool:  # NumPy and SciPy leave Python's lock to others meanwhile
                found |= zip(graph.indices, pool.map(waveform, graph.indices), strict=True)
        sources = {label: found[index] for label, index in self._labels.items()}
        if any(REMAINDER_LABEL in labels for labels in self._sources):
            total = np.sum(list(sources.values()), axis=0, dtype=np.float32)
            sources[REMAINDER_LABEL] = chunk - np.float32(self._contract.compensate) * total
        return np.stack([np.sum([sources[label] for label in labels], axis=0) for labels in self._sources])

    def _statistics(self, chunk: Samples) -> tuple[np.float32, np.float32]:
        """Mean and standard deviation of the mono mix; 0 and 1 where nothing is normalised."""
        if self._contract.normalisation == "none":
            return np.float32(0), np.float32(1)
        mono = chunk.mean(axis=0, dtype=np.float64)
        deviation = float(mono.std())
        return np.float32(mono.mean()), np.float32(deviation if deviation > _LEAST_DEVIATION else 1.0)

    def _inputs(self, mix: Samples, spectrum: Spectrum | None) -> dict[str, NDArray[np.floating]]:
        """The inputs of the graph, for ``(2, samples)`` and ``(2, frames, bins of the FFT)``."""
        given: dict[str, NDArray[np.floating]] = {}
        for tensor in self._contract.inputs:
            if tensor.kind == "waveform":
                packed = tensor.axes.pack(mix, ("channel", "sample"))
            else:
                transform = self._contract.transform
                assert spectrum is not None and transform is not None
                bins = spectrum[..., : transform.n_bins]
                if transform.zeroed_input_bins:
                    bins = bins.copy()
                    bins[..., : transform.zeroed_input_bins] = 0
                packed = _pack_spectrum(tensor, bins)
            given[tensor.name] = np.ascontiguousarray(packed, dtype=np.dtype(tensor.type))
        return given

    def _outputs(self, graph: _Graph, inputs: Mapping[str, NDArray[np.floating]]) -> Mapping[str, Samples]:
        """The outputs of the graph by name, in float32, with the axes of their contract.

        Waveforms are ``(sources, 2, samples)``, spectra and masks ``(sources, 2, frames, bins, 2)``, without the last
        axis where a tensor has one part.
        """
        given = graph.session.run(inputs)
        outputs = {}
        for tensor in self._contract.outputs:
            values = given[tensor.name]
            shape = tensor.axes.shape(self._sizes)
            if values.shape != shape:
                raise ModelUnavailableError(
                    f"{graph.file} gives '{tensor.name}' in the shape {values.shape}, but its contract says {shape}."
                )
            axes = [
                axis for axis in ("source", "channel", "sample", "frame", "bin", "part") if axis in tensor.axes.axes
            ]
            unpacked = tensor.axes.unpack(values, axes, self._sizes).astype(np.float32, copy=False)
            if not np.isfinite(unpacked).all():
                raise ModelUnavailableError(
                    f"{graph.file} gives NaN or infinity in '{tensor.name}': its weights are damaged, or they need more "
                    "range than half precision has."
                )
            outputs[tensor.name] = unpacked if "source" in axes else unpacked[np.newaxis]
        return outputs

    def _waveform(self, outputs: Mapping[str, Samples], index: int, spectrum: Spectrum | None) -> Samples:
        """One source, ``(2, samples)``: the sum of the outputs of all kinds."""
        found: Samples | None = None
        for kind in ("waveform", "complex_spectrum", "complex_mask"):
            tensors = [tensor for tensor in self._contract.outputs if tensor.kind == kind]
            if not tensors:
                continue
            if kind == "waveform":
                samples = outputs[tensors[0].name][index]
            else:
                transform = self._contract.transform
                assert spectrum is not None and transform is not None and self._stft is not None
                bins = _complex({tensor.part: outputs[tensor.name][index] for tensor in tensors})  # (2, frames, bins)
                if kind == "complex_mask":
                    bins = bins * spectrum[..., : transform.n_bins]
                bins[..., : transform.zeroed_output_bins] = 0
                samples = self._stft.inverse(bins)
            found = samples if found is None else found + samples
        assert found is not None
        return found


@dataclass(frozen=True)
class _Graph:
    """A loaded file, its name, and the sources that are taken from it."""

    session: OnnxSession
    file: str
    indices: tuple[int, ...]


def _weights_of(path: Path, template: GraphTemplate) -> Callable[[], Mapping[str, NDArray[Any]]]:
    return lambda: WeightArrays(path).fitting(template.shapes)


def sizes_of(model: Model, contract: OnnxContract) -> dict[str, int]:
    """Size of each axis of the contract's layouts.

    Raises:
        ModelUnavailableError: the chunk or the labels do not fit the contract.
    """
    try:
        return contract.sizes(chunk_samples=model.chunk_samples, n_sources=len(model.labels))
    except ValueError as error:
        raise ModelUnavailableError(f"{model.name} does not fit its contract: {error}; correct it.") from error


def check_graph(session: OnnxSession, contract: OnnxContract, sizes: Mapping[str, int], file: str) -> None:
    """Compares the graph's inputs and outputs with the contract; axes of no fixed size fit any.

    Raises:
        ModelUnavailableError: a tensor is missing, unexpected, or has another type or shape.
    """
    loaded = session.loaded()
    for what, tensors, found in (
        ("input", contract.inputs, loaded.get_inputs()),
        ("output", contract.outputs, loaded.get_outputs()),
    ):
        in_graph = {one.name: one for one in found}
        names = ", ".join(f"'{name}'" for name in in_graph)
        for tensor in tensors:
            if tensor.name not in in_graph:
                raise ModelUnavailableError(
                    f"{file} has no {what} '{tensor.name}', as its contract says; it has {names}."
                )
            _check_tensor(tensor, in_graph[tensor.name].type, in_graph[tensor.name].shape, sizes, file)
        extra = [name for name in in_graph if name not in {tensor.name for tensor in tensors}]
        if extra and what == "input":
            raise ModelUnavailableError(
                f"{file} also needs the input '{extra[0]}', which its contract does not have; add it, or give another file."
            )


def _check_tensor(
    tensor: GraphTensor, type_: str, shape: list[int | str | None], sizes: Mapping[str, int], file: str
) -> None:
    stated = f"tensor({'float' if tensor.type == 'float32' else tensor.type})"
    if type_ != stated:
        raise ModelUnavailableError(
            f"{file} has the tensor '{tensor.name}' as {type_}, but its contract says {stated}: set its type, or give "
            "another file."
        )
    wanted = tensor.axes.shape(sizes)
    fits = len(shape) == len(wanted) and all(
        not isinstance(size, int) or size == stated_size for size, stated_size in zip(shape, wanted, strict=True)
    )
    if not fits:
        found = ", ".join("any" if not isinstance(size, int) else str(size) for size in shape)
        raise ModelUnavailableError(
            f"{file} has the tensor '{tensor.name}' with the shape ({found}), but its contract, with its chunk_samples and "
            f"labels, says {wanted}."
        )


def _pack_spectrum(tensor: GraphTensor, bins: Spectrum) -> NDArray[np.floating]:
    """``(2, frames, bins)`` -> the layout of the tensor."""
    if tensor.part != "both":
        return tensor.axes.pack(bins.real if tensor.part == "real" else bins.imag, ("channel", "frame", "bin"))
    parts = np.ascontiguousarray(bins).view(np.float32).reshape(*bins.shape, 2)
    return tensor.axes.pack(parts, ("channel", "frame", "bin", "part"))


def _complex(parts: Mapping[str, Samples]) -> Spectrum:
    """``(2, frames, bins, 2)``, or its two parts ``(2, frames, bins)``, as complex numbers ``(2, frames, bins)``."""
    real, imaginary = (
        (parts["both"][..., 0], parts["both"][..., 1]) if "both" in parts else (parts["real"], parts["imaginary"])
    )
    joined = np.empty(real.shape, np.complex64)
    joined.real, joined.imag = real, imaginary
    return joined
