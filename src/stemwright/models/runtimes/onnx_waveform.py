"""ONNX Runtime: runs published separators as their contract says, without PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from stemwright.errors import ModelUnavailableError
from stemwright.models.engine import ChunkSize
from stemwright.models.onnx_contract import GraphTensor, OnnxContract
from stemwright.models.registry import REMAINDER_LABEL, Model
from stemwright.models.runtimes.chunk_stft import ChunkStft
from stemwright.models.runtimes.onnx_providers import providers
from stemwright.models.runtimes.onnx_session import OnnxSession

Samples = NDArray[np.float32]
Spectrum = NDArray[np.complex64]

_LEAST_DEVIATION = 1e-8
"""Chunks with a smaller standard deviation are silent, and not scaled."""


class OnnxWaveformEngine:
    """A separator in an ONNX file.

    Args:
        model: the model, with its contract.
        path: its verified file.
        device: a device of ``--device``.
        threads: CPU threads.

    Raises:
        ModelUnavailableError: the file does not fit its contract, or the device is not available.
    """

    batch = 1
    """One chunk: the graphs of most published files have a batch of one."""

    def __init__(self, model: Model, path: Path, *, device: str, threads: int) -> None:
        import onnxruntime

        if model.onnx is None:
            raise ModelUnavailableError(
                f"{model.name} has no contract, which says what the tensors of {path.name} mean."
            )
        self._contract: OnnxContract = model.onnx
        self._file = path.name
        self._labels = model.labels
        self._sources = [model.sources[stem] for stem in model.stems]
        self._sizes = sizes_of(model, self._contract)
        self._session = OnnxSession(
            path,
            f"{model.name} ({path.name})",
            providers=providers(device, onnxruntime.get_available_providers()),
            threads=threads,
        )
        check_graph(self._session, self._contract, self._sizes, path.name)
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
        mix = np.pad((chunk - mean) / deviation, ((0, 0), (margin, margin)))
        spectrum = None if self._stft is None else self._stft.forward(mix)  # (2, frames, bins of the FFT)
        tensors = self._session.run(self._inputs(mix, spectrum))
        outputs = self._outputs(tensors)
        wanted = {label for labels in self._sources for label in labels}
        every = REMAINDER_LABEL in wanted
        sources = {
            label: self._waveform(outputs, index, spectrum)[:, margin : margin + chunk.shape[1]] * deviation + mean
            for index, label in enumerate(self._labels)
            if every or label in wanted
        }
        if every:
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

    def _outputs(self, tensors: list[NDArray[np.floating]]) -> Mapping[str, NDArray[np.float32]]:
        """The outputs of the graph by name, in float32, with the axes of their contract.

        Waveforms are ``(sources, 2, samples)``, spectra and masks ``(sources, 2, frames, bins, 2)``, without the last
        axis where a tensor has one part.
        """
        names = [output.name for output in self._session.loaded().get_outputs()]
        given = dict(zip(names, tensors, strict=True))
        outputs = {}
        for tensor in self._contract.outputs:
            values = given[tensor.name]
            shape = tensor.axes.shape(self._sizes)
            if values.shape != shape:
                raise ModelUnavailableError(
                    f"{self._file} gives '{tensor.name}' in the shape {values.shape}, but its contract says {shape}."
                )
            axes = [
                axis for axis in ("source", "channel", "sample", "frame", "bin", "part") if axis in tensor.axes.axes
            ]
            unpacked = tensor.axes.unpack(values, axes, self._sizes).astype(np.float32, copy=False)
            if not np.isfinite(unpacked).all():
                raise ModelUnavailableError(
                    f"{self._file} gives NaN or infinity in '{tensor.name}': its weights are damaged, or they need more "
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
