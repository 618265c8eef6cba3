"""Exports a network that runs in PyTorch to an ONNX file and its contract, and checks the one against the other."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from stemwright.errors import ModelUnavailableError, UsageError, storage_error
from stemwright.models.onnx_config import OnnxConfig
from stemwright.models.onnx_contract import OnnxContract
from stemwright.models.registry import REMAINDER_LABEL, Model

if TYPE_CHECKING:
    from torch import nn

    from stemwright.models.networks import LoadedNetwork

GRAPHS = {
    "bs_roformer": ("roformer", "RoformerGraph"),
    "mel_band_roformer": ("roformer", "RoformerGraph"),
    "scnet": ("scnet", "SCNetGraph"),
    "htdemucs": ("htdemucs", "HTDemucsGraph"),
    "mdx23c": ("mdx23c", "MDX23CGraph"),
}
"""Architecture to the module of ``models.onnx_graphs`` and its class."""

OPSET = 20
"""The operators of ONNX 1.15, which ONNX Runtime has since 1.17."""

MAX_ERROR = 1e-4
"""Largest difference from PyTorch's output, relative to its peak."""

MAX_BYTES = 2_000_000_000
"""Largest file: messages of protobuf end at two gibibytes."""

LEAST_HALF_VALUES = 1024
"""Smaller tensors are not stored in half precision: they are norms and biases, and take no room."""

INSTALL = "install it with `pip install 'stemwright[export]'`"

Samples = NDArray[np.float32]


@dataclass(frozen=True)
class Export:
    """What was written.

    Attributes:
        graph: the ONNX file.
        config: its TOML, for ``stemwright models add``.
        error: largest difference from PyTorch's output, relative to its peak.
    """

    graph: Path
    config: Path
    error: float


def export(model: Model, paths: Sequence[Path], out: Path, *, half: bool = False, threads: int = 1) -> Export:
    """Writes ``out`` and a TOML of the same name; they get their names once ONNX Runtime gives what PyTorch gives.

    Args:
        model: a model that runs in PyTorch.
        paths: its verified files.
        out: the ONNX file.
        half: store large weights in half precision; they are float32 in memory. The comparison is with a network whose
            weights are rounded in the same way.
        threads: CPU threads.

    Raises:
        ModelUnavailableError: a package is missing, or the two outputs differ.
        UsageError: the model is not one of PyTorch, or has a part that is not exported, or ``out`` is not the name of an
            ONNX file.
        StorageError: the files cannot be written.
    """
    if model.runtime != "pytorch":
        raise UsageError(f"{model.name} does not run in PyTorch, so there is nothing to export; name another model.")
    if model.options.get("hyperace"):
        raise UsageError(f"{model.name} has the mask head of HyperACE, which is not exported; use it with PyTorch.")
    if out.suffix != ".onnx":
        raise UsageError(f"--out {out} is not the name of an ONNX file; end it in .onnx.")
    check_packages()
    import torch

    from stemwright.models import networks

    torch.set_num_threads(threads)
    loaded = networks.load(model, paths)
    if half:
        for part in loaded:
            _round_to_half(part.network)
    graph = _graph(model, loaded)
    exported = replace(
        model, runtime="onnx", architecture="", options={}, labels=_labels(model, loaded), onnx=graph.contract
    )
    config = OnnxConfig.of_model(exported)
    toml = out.with_suffix(".toml")
    parts = {path: path.with_name(f".{path.name}.{os.getpid()}.part") for path in (toml, out)}
    try:
        with _written_whole(parts):
            _write_graph(graph, parts[out], half=half)
            parts[toml].write_bytes(config.to_toml())
            error = _difference(exported, parts[out], loaded, threads)
            if not error <= MAX_ERROR:
                raise ModelUnavailableError(
                    f"The ONNX file of {model.name} gives other samples than PyTorch, by {error:.1e} of the peak where "
                    f"{MAX_ERROR:.0e} is allowed, so it was not kept; use the model with PyTorch."
                )
    except OSError as problem:
        raise storage_error(problem, out) from problem
    return Export(out, toml, error)


def check_packages() -> None:
    """Raises ModelUnavailableError if a package is missing that an export needs."""
    for package in ("torch", "onnx", "onnxscript"):
        if find_spec(package) is None:
            raise ModelUnavailableError(f"Exporting a model needs the package {package}: {INSTALL}.")
    import torch

    if not hasattr(torch.onnx, "ops"):
        raise ModelUnavailableError(
            f"Exporting a model needs PyTorch 2.8 or newer, and this is {torch.__version__}: {INSTALL} --upgrade."
        )


def _graph(model: Model, loaded: Sequence[LoadedNetwork]) -> Any:
    """The module to export, with its contract: of one network, or of a bag with one label each."""
    module, name = GRAPHS[model.architecture]
    kind = getattr(import_module(f"stemwright.models.onnx_graphs.{module}"), name)
    graphs = [kind(part.network, model.chunk_samples) for part in loaded]
    if len(graphs) == 1:
        return graphs[0].eval()
    from stemwright.models.onnx_graphs.bag import BagGraph

    return BagGraph(graphs, [index for part in loaded for index in part.output_indices.values()]).eval()


def _labels(model: Model, loaded: Sequence[LoadedNetwork]) -> tuple[str, ...]:
    """Labels of the graph's sources: those of the heads that were loaded, or else of all outputs of the network."""
    from stemwright.models.networks import MULTI_HEAD

    if len(loaded) > 1 or model.architecture in MULTI_HEAD:
        return tuple(label for part in loaded for label in part.output_indices)
    return model.labels


def _round_to_half(network: nn.Module) -> None:
    """Rounds large weights to the nearest half float; a weight that has none stays as it is."""
    import torch

    with torch.no_grad():
        for weight in network.parameters():
            rounded = weight.half().float()
            if weight.numel() >= LEAST_HALF_VALUES and bool(rounded.isfinite().all()):
                weight.copy_(rounded)


def _write_graph(graph: Any, path: Path, *, half: bool) -> None:
    import torch

    contract: OnnxContract = graph.contract
    with quiet(), torch.no_grad():
        program = torch.onnx.export(
            graph,
            graph.example(),
            dynamo=True,
            opset_version=OPSET,
            verbose=False,
            input_names=[tensor.name for tensor in contract.inputs],
            output_names=[tensor.name for tensor in contract.outputs],
        )
    assert program is not None
    made = program.model_proto
    for item in (made, made.graph, *made.graph.node, *made.graph.value_info, *made.graph.input, *made.graph.output):
        del item.metadata_props[:]  # traces of the export, with paths of this machine
        item.doc_string = ""
    if half:
        _store_half(made.graph)
    if made.ByteSize() > MAX_BYTES:
        raise ModelUnavailableError(
            f"The ONNX file would have {made.ByteSize() / 1e6:.0f} MB, and {MAX_BYTES / 1e6:.0f} MB is the most that one "
            "can have" + ("; use the model with PyTorch." if half else "; use --half, or the model with PyTorch.")
        )
    with path.open("wb") as file:
        file.write(made.SerializeToString())
        file.flush()
        os.fsync(file.fileno())


def _store_half(graph: Any) -> None:
    """Stores the weights that are half floats as such, each followed by a cast, which ONNX Runtime does when it loads."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for tensor in graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype != np.float32 or values.size < LEAST_HALF_VALUES:
            continue
        with np.errstate(over="ignore"):
            halves = values.astype(np.float16)
        if not np.array_equal(halves.astype(np.float32), values):
            continue
        name = f"{tensor.name} half"
        casts.append(helper.make_node("Cast", [name], [tensor.name], to=TensorProto.FLOAT))
        tensor.CopyFrom(numpy_helper.from_array(halves, name))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _difference(exported: Model, path: Path, loaded: Sequence[LoadedNetwork], threads: int) -> float:
    """Largest difference of the two outputs for one chunk, relative to PyTorch's peak."""
    import torch

    from stemwright.models.runtimes.onnx_waveform import OnnxWaveformEngine

    mix = _test_chunk(exported.chunk_samples)
    with torch.inference_mode():
        outputs: dict[str, Any] = {}
        for part in loaded:
            made = part.network(torch.from_numpy(mix)[None])[0].numpy()  # (labels, 2, samples)
            outputs |= {label: made[index] for label, index in part.output_indices.items()}
    outputs[REMAINDER_LABEL] = mix - np.sum([outputs[label] for label in outputs], axis=0)
    wanted = np.stack([np.sum([outputs[one] for one in exported.sources[stem]], axis=0) for stem in exported.stems])
    engine = OnnxWaveformEngine(exported, [path], device="cpu", threads=threads)
    found = engine.separate(mix[np.newaxis])[0]
    return float(np.abs(found - wanted).max() / max(float(np.abs(wanted).max()), 1e-12))


def _test_chunk(n_samples: int) -> Samples:
    """Noise and tones that swell, ``(2, samples)``."""
    generator = np.random.default_rng(0)
    turns = np.arange(n_samples) / 44_100
    swell = 0.5 - 0.5 * np.cos(2 * np.pi * turns)
    tones = sum(np.sin(2 * np.pi * pitch_hz * turns) for pitch_hz in (82.4, 220.0, 523.3, 1760.0, 6645.0))
    chunk: Samples = (0.1 * swell * tones + 0.2 * generator.standard_normal((2, n_samples))).astype(np.float32)
    return chunk


@contextmanager
def _written_whole(parts: Mapping[Path, Path]) -> Iterator[None]:
    """Gives files their final names if the block ends well, and removes them otherwise."""
    try:
        yield
        for path, part in parts.items():
            part.replace(path)
    finally:
        for part in parts.values():
            with suppress(OSError):
                part.unlink(missing_ok=True)


@contextmanager
def quiet() -> Iterator[None]:
    """Without the exporter's remarks, which are about its own code."""
    names = ("torch.onnx", "onnxscript", "onnx_ir")
    levels = {name: logging.getLogger(name).level for name in names}
    try:
        for name in names:
            logging.getLogger(name).setLevel(logging.ERROR)
        with warnings.catch_warnings(action="ignore"):
            yield
    finally:
        for name, level in levels.items():
            logging.getLogger(name).setLevel(level)
