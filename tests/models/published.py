"""Small networks of random weights, as people publish them: files for tests that need a checkpoint.

Names of tensors, tables and wrappers are those of real checkpoints; only the sizes are small. Every function writes into a
folder that is given, and returns where.

    pair = msst_pair(tmp_path, "scnet")                     # a YAML and a .ckpt, as MSST has them
    pair = msst_pair(tmp_path, "bs_roformer", form="safetensors", wrapper="state_dict")
    path = demucs_package(tmp_path)                         # a .th as Demucs has them
"""

from __future__ import annotations

import sys
import types
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import torch
import yaml
from safetensors.torch import save_file
from torch import Tensor

from stemwright.models.networks import build
from tests.models.architectures.filling import fill

GRAPHS = Path(__file__).parent / "graphs"
"""The graph ``small``, of an HTDemucs with six sources (``scripts/graph-templates small``)."""

LABELS = ("drums", "bass", "other", "vocals")
RATE_HZ = 44_100
CHUNK_SAMPLES = 44_100

ROFORMER: Mapping[str, Any] = {
    "dim": 16,
    "depth": 1,
    "stereo": True,
    "time_transformer_depth": 1,
    "freq_transformer_depth": 1,
    "dim_head": 8,
    "heads": 2,
    "stft_n_fft": 512,
    "stft_hop_length": 128,
    "stft_win_length": 512,
    "stft_normalized": False,
    "mask_estimator_depth": 2,
    "mlp_expansion_factor": 1,
}
NETWORKS: Mapping[str, Mapping[str, Any]] = {
    "bs_roformer": {**ROFORMER, "freqs_per_bands": [16] * 16 + [1]},
    "mel_band_roformer": {**ROFORMER, "num_bands": 8, "sample_rate": RATE_HZ},
    "scnet": {
        "audio_channels": 2,
        "dims": [4, 8, 16],
        "nfft": 512,
        "hop_size": 128,
        "win_size": 512,
        "normalized": True,
        "band_SR": [0.225, 0.372, 0.403],
        "band_stride": [1, 4, 16],
        "band_kernel": [3, 4, 16],
        "conv_depths": [1, 1, 1],
        "compress": 4,
        "conv_kernel": 3,
        "num_dplayer": 2,
        "expand": 1,
    },
    "htdemucs": {
        "channels": 8,
        "growth": 2,
        "nfft": 512,
        "depth": 2,
        "freq_emb": 0.2,
        "emb_scale": 10,
        "kernel_size": 8,
        "stride": 4,
        "context": 1,
        "context_enc": 0,
        "dconv_mode": 3,
        "dconv_depth": 1,
        "dconv_comp": 4,
        "bottom_channels": 0,
        "t_layers": 1,
        "t_hidden_scale": 2.0,
        "t_heads": 2,
        "t_max_period": 10000.0,
        "t_weight_pos_embed": 1.0,
    },
    "mdx23c": {
        "act": "gelu",
        "bottleneck_factor": 4,
        "growth": 4,
        "norm": "InstanceNorm",
        "num_blocks_per_scale": 1,
        "num_channels": 8,
        "num_scales": 2,
        "num_subbands": 4,
        "scale": [2, 2],
    },
}
"""What a small network of each architecture is made of, by the names of published configurations."""

TRAINING: Mapping[str, Mapping[str, Any]] = {
    "bs_roformer": {"attn_dropout": 0.1, "ff_dropout": 0.1, "flash_attn": True, "dim_freqs_in": 257},
    "mel_band_roformer": {"attn_dropout": 0, "ff_dropout": 0, "flash_attn": True, "dim_freqs_in": 257},
    "scnet": {},
    "htdemucs": {"cac": True, "rewrite": True, "t_dropout": 0.0, "t_lr": None, "wiener_iters": 0, "rescale": 0.1},
    "mdx23c": {},
}
"""What published configurations say besides, and what an inference leaves aside."""

MDX23C_AUDIO: Mapping[str, Any] = {"n_fft": 512, "hop_length": 128, "dim_f": 192}
"""What of an MDX23C stands among the settings of ``audio``."""


@dataclass(frozen=True)
class Pair:
    """A configuration and its checkpoint."""

    config: Path
    checkpoint: Path


def msst_pair(
    folder: Path,
    architecture: str,
    *,
    labels: tuple[str, ...] = LABELS,
    target: str | None = None,
    form: str = "ckpt",
    wrapper: str | None = None,
    prefix: str = "",
    half: bool = False,
    name: str | None = None,
    chunk_samples: int = CHUNK_SAMPLES,
) -> Pair:
    """A YAML and a checkpoint of a small network, as Music-Source-Separation-Training publishes them.

    Args:
        folder: where they shall lie.
        architecture: one of ``NETWORKS``.
        labels: ``training.instruments``.
        target: ``training.target_instrument``: the network gives this one alone.
        form: ending of the checkpoint; ``safetensors``, or any that torch.save is used with.
        wrapper: the key that the weights lie under, None for none.
        prefix: what stands before the name of every tensor, such as ``module.``.
        half: the weights are saved as float16.
        name: of both files; the architecture's by default.
        chunk_samples: what the network hears at once.
    """
    config = folder / f"{name or architecture}.yaml"
    checkpoint = folder / f"{name or architecture}.{form}"
    config.write_text(
        yaml.safe_dump(msst_config(architecture, labels, target, chunk_samples), sort_keys=False).replace(
            "'@tuple'", TUPLE
        )
    )
    content = {
        prefix + key: tensor for key, tensor in weights(architecture, options(architecture, labels, target)).items()
    }
    if half:
        content = {key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in content.items()}
    if form == "safetensors":
        save_file(content, checkpoint)
    else:
        torch.save({wrapper: content, "epoch": 7} if wrapper else content, checkpoint)
    return Pair(config, checkpoint)


def msst_config(
    architecture: str,
    labels: tuple[str, ...] = LABELS,
    target: str | None = None,
    chunk_samples: int = CHUNK_SAMPLES,
) -> dict[str, Any]:
    """The content of such a YAML. ``'@tuple'`` becomes a ``!!python/tuple``, which YAML's safe writer cannot write."""
    made = options(architecture, labels, target)
    table = {**made, **TRAINING[architecture]}
    training = {
        "instruments": list(labels),
        "target_instrument": target,
        "batch_size": 2,
        "optimizer": "adam",
        "lr": 1e-5,
    }
    tables: dict[str, Any] = {
        "audio": {"chunk_size": chunk_samples, "num_channels": 2, "sample_rate": RATE_HZ, "min_mean_abs": 0.0},
        "model": table,
        "training": training,
        "inference": {"batch_size": 1, "dim_t": 345, "num_overlap": 4},
    }
    if "roformer" in architecture:
        table["multi_stft_resolutions_window_sizes"] = "@tuple"
        table["multi_stft_hop_size"] = 147
    if architecture == "mdx23c":
        for setting in ("num_stems", *MDX23C_AUDIO):
            del table[setting]
        tables["audio"] |= {**MDX23C_AUDIO, "dim_t": 256}
    if architecture == "htdemucs":
        for setting in ("sources", "audio_channels", "samplerate", "segment", "use_train_segment"):
            table.pop(setting, None)
        tables["model"], tables["htdemucs"] = "htdemucs", table
        training |= {"segment": 1, "samplerate": RATE_HZ, "channels": 2, "normalize": True}
    return tables


TUPLE = "!!python/tuple [4096, 2048, 1024, 512, 256]"


def options(architecture: str, labels: tuple[str, ...] = LABELS, target: str | None = None) -> dict[str, Any]:
    """The options of a small network, as the registry has them."""
    outputs = (target,) if target else labels
    if architecture == "htdemucs":
        named: dict[str, Any] = {"sources": list(outputs), "audio_channels": 2, "samplerate": RATE_HZ, "segment": 1}
    else:
        named = {"sources": list(outputs)} if architecture == "scnet" else {"num_stems": len(outputs)}
    if architecture == "mdx23c":
        named |= MDX23C_AUDIO
    return {**NETWORKS[architecture], **named}


def weights(architecture: str, options: Mapping[str, Any]) -> dict[str, Tensor]:
    """The tensors of a network, filled by their names."""
    shapes = build(architecture, options).state_dict()
    return {
        name: torch.from_numpy(fill(name, tuple(tensor.shape)))
        if tensor.is_floating_point()
        else torch.zeros_like(tensor, device="cpu")
        for name, tensor in shapes.items()
    }


def demucs_package(folder: Path, *, labels: tuple[str, ...] = LABELS, name: str = "0a1b2c3d-4e5f6a7b.th") -> Path:
    """A ``.th`` as Demucs publishes them: its class by name, the arguments it was made with, and the state in float16."""
    path = folder / name
    made = options("htdemucs", labels)
    state = {key: tensor.half() for key, tensor in weights("htdemucs", made).items()}
    with demucs_class() as network:
        torch.save({"klass": network, "args": (), "kwargs": {**made, "segment": Fraction(1)}, "state": state}, path)
    return path


@contextmanager
def demucs_class() -> Iterator[type]:
    """A class that pickles as ``demucs.htdemucs.HTDemucs``, while it is saved."""
    modules = {name: types.ModuleType(name) for name in ("demucs", "demucs.htdemucs")}
    network = type("HTDemucs", (), {"__module__": "demucs.htdemucs"})
    modules["demucs.htdemucs"].HTDemucs = network  # type: ignore[attr-defined]
    sys.modules.update(modules)
    try:
        yield network
    finally:
        for name in modules:
            del sys.modules[name]
