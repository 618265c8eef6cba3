"""The small networks, weights and sound on which the reference RoFormers and ours are compared.

Needs nothing but numpy: the golden scripts run in environments where Stemwright is absent.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.models.architectures.filling import fill

SAMPLES = 811
"""Of each sound: no multiple of the hop."""

_SMALL = {
    "dim": 16,
    "depth": 2,
    "stereo": True,
    "num_stems": 2,
    "time_transformer_depth": 1,
    "freq_transformer_depth": 1,
    "dim_head": 8,
    "heads": 2,
    "stft_n_fft": 128,
    "stft_hop_length": 32,
    "stft_win_length": 128,
    "mask_estimator_depth": 2,
}

_BANDS = {"freqs_per_bands": (2, 2, 2, 4, 4, 12, 12, 27)}

_BS = _SMALL | _BANDS
_MEL = _SMALL | {"num_bands": 12, "stft_n_fft": 256, "stft_hop_length": 64, "stft_win_length": 256}

BS_CASES: dict[str, dict[str, Any]] = {
    "one_stem": _BS | {"num_stems": 1, "mlp_expansion_factor": 2},
    "deep_transformers": _BS | {"time_transformer_depth": 2, "mask_estimator_depth": 3, "zero_dc": False},
    "skip_connection": _BS | {"depth": 3, "skip_connection": True, "stft_normalized": True},
    "linear_attention": _BS | {"linear_transformer_depth": 1, "num_stems": 1},
    "polar": _BS | {"use_pope": True, "mask_estimator_depth": 1, "num_stems": 1},
}
"""Answered by MSST."""

BS_PACKAGE_CASES: dict[str, dict[str, Any]] = {"package": _BS | {"zero_dc": False}}
"""Answered by the packages, which know fewer options. They never silence the lowest bin, unless they are told to."""

MEL_CASES: dict[str, dict[str, Any]] = {
    "one_stem": _MEL | {"num_stems": 1},
    "deep_estimators": _MEL | {"mask_estimator_depth": 3, "mlp_expansion_factor": 2, "zero_dc": False},
    "skip_connection": _MEL | {"skip_connection": True, "num_stems": 1},
    "linear_attention": _MEL | {"linear_transformer_depth": 1, "num_stems": 1},
    "polar": _MEL | {"use_pope": True, "mask_estimator_depth": 1, "num_stems": 1},
}
"""Answered by MSST."""

MEL_BANKS = ((44100, 2048, 60), (44100, 2048, 64), (48000, 4096, 80), (16000, 512, 24))
"""Sample rates, frame sizes and numbers of bands of which librosa's filter banks are kept."""


def weights(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, NDArray[np.float32]]:
    """Give the weights of a network from the names and shapes of its state dict.

    What embeds positions is one and the same in every layer, as the reference shares it; its frequencies are true ones.
    """
    values = {}
    for key, shape in shapes.items():
        shared = re.sub(r"^layers\.\d+\.(\d+)\.layers\.\d+\.0\.(?=rotary_embed|pope_embed)", r"\1.", key)
        if shared.endswith("freqs"):
            values[key] = (100.0 ** -(np.arange(*shape) / shape[0])).astype(np.float32)
        else:
            values[key] = fill(shared, shape)
    return values


def mix() -> NDArray[np.float32]:
    """Give a batch of two sounds: `(2, 2, SAMPLES)`, partials upon noise, the second with silence at its end."""
    random = np.random.Generator(np.random.PCG64(5))
    time = np.arange(SAMPLES)
    partials = np.sin(0.02 * time) + np.sin(0.26 * time + 1) + np.sin(1.19 * time + 2)
    sounds = 0.2 * partials + 0.1 * random.standard_normal((2, 2, SAMPLES))
    sounds[1, :, SAMPLES // 2 :] = 0
    return np.asarray(sounds, dtype=np.float32)
