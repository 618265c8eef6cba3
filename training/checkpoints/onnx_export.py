"""Writes a checkpoint as the ONNX file that the separator runs; ``training.export`` is its command.

Input ``features`` ``(1, 4, 384, frames)``, output ``masks`` ``(12, 2, 384, frames)`` after the softmax, both float32;
``frames`` is any multiple of 64. Weights are stored in half precision and cast when the file is loaded. They are
rounded before the graph is made, so that torch and ONNX Runtime compute with the same numbers.
"""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import Tensor, nn

from stemwright.models.bands import BANDS_384
from stemwright.models.runtimes.onnx import CHUNK_FRAMES
from stemwright.stems import STEMS
from training.checkpoints.checkpoint import Checkpoint
from training.checkpoints.inference import build_ensemble
from training.data import features
from training.network.ensemble import NetworkEnsemble
from training.network.logit_bias import LogitBias
from training.network.unet import FRAME_MULTIPLE, MIN_FRAMES, NetworkShape

OPSET = 17
MAX_BYTES = 25_000_000
MAX_DIFFERENCE = 1e-4
BAND_CHUNKS = 16
"""Number of chunks of the bands for which masks are computed in turn, so that each fits into a processor's cache: with
512 frames of an ensemble that takes 86 MB and a twentieth of the time less than all at once."""

MIN_HALF_SIZE = 256
"""Tensors with fewer values than this stay in float32: they take no space."""


class MaskModel(nn.Module):
    """An ensemble in evaluation mode with its softmax, for one chunk at a time.

    The attribute ``network`` is part of the names of weights in exported files.
    """

    def __init__(self, ensemble: NetworkEnsemble) -> None:
        super().__init__()
        self.network = ensemble

    def forward(self, features: Tensor) -> Tensor:
        """``(1, planes, bands, frames)`` -> ``(stems, channels, bands, frames)``."""
        logits = [member(features) for member in self.network.members]
        percussiveness = self.network.onset_prior(features)
        chunks = zip(*(whole.chunk(BAND_CHUNKS, 3) for whole in (percussiveness, *logits)), strict=True)  # of the bands
        return torch.cat([_softmax(self.network.combine(first, rest)[0]) for first, *rest in chunks], 2)


def _softmax(logits: Tensor) -> Tensor:
    # Over the first axis, spelt out: ONNX Runtime's own transposes the whole tensor there and back.
    raised = torch.exp(logits - logits.amax(0, keepdim=True))
    return raised / raised.sum(0, keepdim=True)


def conv_norm_pairs(network: nn.Module) -> list[tuple[str, str]]:
    """Names of each convolution that a batch norm follows, and of that norm."""
    pairs = []
    for parent, module in network.named_modules():
        for (first, convolution), (second, norm) in itertools.pairwise(module.named_children()):
            if isinstance(norm, nn.BatchNorm2d) and isinstance(convolution, nn.Conv2d | nn.ConvTranspose2d):
                pairs.append((f"{parent}.{first}", f"{parent}.{second}"))
    return pairs


def fold_batch_norms(network: nn.Module) -> None:
    """Multiplies each batch norm that follows a convolution into it, and rounds all weights to half precision."""
    for convolution, norm in conv_norm_pairs(network):
        _fold_into(network.get_submodule(convolution), network.get_submodule(norm))
        network.set_submodule(norm, nn.Identity())
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.numel() >= MIN_HALF_SIZE:
                parameter.copy_(parameter.half().float())


@torch.no_grad()
def _fold_into(convolution: nn.Module, norm: nn.Module) -> None:
    assert isinstance(convolution, nn.Conv2d | nn.ConvTranspose2d) and isinstance(norm, nn.BatchNorm2d)
    mean, variance = norm.running_mean, norm.running_var
    assert mean is not None and variance is not None
    gain = norm.weight / (variance + norm.eps).sqrt()
    axis = 0 if isinstance(convolution, nn.Conv2d) else 1  # where the output channels are
    convolution.weight *= gain.reshape([-1 if dimension == axis else 1 for dimension in range(4)])
    convolution.bias = nn.Parameter(norm.bias - mean * gain)


def export(
    checkpoints: Sequence[Checkpoint],
    path: Path,
    bias: LogitBias | None = None,
    chunk_frames: int = CHUNK_FRAMES,
    weights: Sequence[float] = (),
    onset_nats: float = 0.0,
) -> float:
    """Writes the file.

    Args:
        checkpoints: one, or several for an ensemble.
        bias, weights, onset_nats: as for ``build_ensemble``.
        path: of the file.
        chunk_frames: how many frames the separator passes to it at once, a multiple of 64.

    Returns:
        The greatest difference between torch and ONNX Runtime on random features.

    Raises:
        ValueError: the file is too big for the wheel, the two differ, the weights do not match the checkpoints, or the
            networks see a cue, which the separator does not compute.
    """
    for checkpoint in checkpoints:
        if checkpoint.shape.cue != "none":
            raise ValueError(
                f"The separator does not compute the cue '{checkpoint.shape.cue}': take it away with "
                "training.checkpoints.grow --cue none."
            )
    network = build_ensemble(checkpoints, bias, weights, onset_nats)
    fold_batch_norms(network)
    masks = MaskModel(network).eval()
    example = torch.randn(1, NetworkShape.planes, NetworkShape.bands, MIN_FRAMES)
    with warnings.catch_warnings():
        # The tracing exporter is deprecated, but it keeps the frame axis free and needs no other package.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            masks,
            (example,),
            path,
            input_names=["features"],
            output_names=["masks"],
            dynamic_axes={"features": {3: "frames"}, "masks": {3: "frames"}},
            opset_version=OPSET,
            dynamo=False,
            do_constant_folding=False,  # keeps linear layers' weights by their names, which `from_onnx` reads
        )
    model = onnx.load(path)
    _halve(model.graph)
    _describe(model, checkpoints, bias or LogitBias(), chunk_frames)
    onnx.checker.check_model(model)
    onnx.save(model, path)
    if (size := path.stat().st_size) > MAX_BYTES:
        raise ValueError(f"{path} has {size} bytes; the wheel takes {MAX_BYTES}. Make the network smaller.")
    difference = max_difference(masks, path)
    if difference > MAX_DIFFERENCE:
        raise ValueError(f"ONNX Runtime differs from torch by {difference:.2g}, more than {MAX_DIFFERENCE:g}.")
    return difference


def max_difference(masks: nn.Module, path: Path, frames: int = 3 * FRAME_MULTIPLE) -> float:
    """Greatest difference between torch and ONNX Runtime, on features like those of music."""
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    _, planes, bands, _ = session.get_inputs()[0].shape
    seen = 3 * torch.randn(1, planes, bands, frames, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected = masks(seen).numpy()
    return float(np.abs(session.run(None, {"features": seen.numpy()})[0] - expected).max())


def _halve(graph: onnx.GraphProto) -> None:
    """Stores big initialisers as float16, each with a cast before its use."""
    casts = []
    for initialiser in graph.initializer:
        values = numpy_helper.to_array(initialiser)
        if initialiser.data_type != TensorProto.FLOAT or values.size < MIN_HALF_SIZE:
            continue
        half = values.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), values):
            continue  # made by the exporter from rounded ones: keep it exact
        name, stored = initialiser.name, f"{initialiser.name}.half"
        initialiser.CopyFrom(numpy_helper.from_array(half, stored))
        casts.append(helper.make_node("Cast", [stored], [name], name=f"{name}.cast", to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)


def _describe(model: onnx.ModelProto, checkpoints: Sequence[Checkpoint], bias: LogitBias, chunk_frames: int) -> None:
    facts = {
        "stems": ",".join(STEMS),
        "sample_rate": features.SAMPLE_RATE_HZ,
        "n_fft": features.N_FFT,
        "hop": features.HOP,
        "bands": BANDS_384.n_bands,
        "frame_multiple": FRAME_MULTIPLE,
        "chunk_frames": chunk_frames,
        "members": json.dumps([_facts(checkpoint) for checkpoint in checkpoints]),
        "priors": json.dumps(bias.metadata()),  # of all members
    }
    helper.set_model_props(model, {name: str(value) for name, value in facts.items()})
    model.producer_name, model.producer_version = "stemwright", ""


def _facts(checkpoint: Checkpoint) -> dict[str, object]:
    """Facts about each network in the file, for ``training.checkpoints.from_onnx``."""
    return {
        "shape": asdict(checkpoint.shape),
        "step": checkpoint.step,
        "minutes": round(checkpoint.minutes, 1),
        "audio_s": round(checkpoint.audio_s),
    }
