"""Finds out which architecture a configuration of Music-Source-Separation-Training (MSST) is for."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from stemwright.errors import ModelUnavailableError
from stemwright.models.networks import ARCHITECTURES, options_type

MASKED = "scnet_masked"
"""An SCNet that outputs masks: a separate architecture in MSST, here an option of ``scnet``."""

TRAINING_SETTINGS = frozenset(
    {"attn_dropout", "ff_dropout", "dropout", "flash_attn", "sage_attention", "use_torch_checkpoint", "dim_freqs_in"}
    | {"multi_stft_resolution_loss_weight", "multi_stft_resolutions_window_sizes", "multi_stft_hop_size"}
    | {"multi_stft_normalized", "match_input_audio_length", "sample_rate"}
)
"""Settings of the ``model`` table that only affect training or the implementation, or are handled elsewhere."""

NEUTRAL_VALUES: Mapping[str, tuple[object, ...]] = {
    "skip_connection": (False, None),
    "use_pope": (False, None),
    "zero_dc": (True, None),
    "linear_transformer_depth": (0, None),
    "use_value_residual_learning": (False, None),
    "num_residual_streams": (1, None),
}
"""Settings that change the network, except at these values; for architectures that have no such option."""

UNSUPPORTED_SETTINGS = {
    "time_conformer_depth": "a conformer",
    "mamba_gmlp": "a Mamba network",
    "num_repeat_mask": "a Mamba network",
    "encoder_name": "a segmentation network",
    "band_specs": "BandIt",
    "tran_depth": "SCNet Tran",
    "bandsplit_ratios": "an unofficial SCNet",
    "freq_dim": "Moises-Light",
    "hybrid": "Demucs 3",
    "conv_expansion_factor": "a conformer",
    "feature_dim": "Apollo",
}
"""Settings of networks that Stemwright does not support."""


def architecture_of(tables: Mapping[str, Any], path: Path) -> str:
    """Detects the architecture from the settings, since MSST takes it from the command line.

    Args:
        tables: the configuration.
        path: its file, for error messages.

    Raises:
        ModelUnavailableError: Stemwright does not support the network, or the settings leave open which one it is.
    """
    training, model = tables.get("training"), tables.get("model")
    named = training.get("model_type") if isinstance(training, Mapping) else None
    if isinstance(model, str) or named:  # Demucs and its like have their name there
        return str(named or model)
    if not isinstance(model, Mapping):
        raise ModelUnavailableError(f"{path} has no table 'model'; give a configuration with one.")
    for setting, network in UNSUPPORTED_SETTINGS.items():
        if setting in model:
            raise ModelUnavailableError(
                f"{path} is for {network}, as its '{setting}' shows, which Stemwright does not support; "
                f"it supports {', '.join(ARCHITECTURES)}."
            )
    found = _signature(model)
    if found is not None:
        return found
    possible = [name for name in ARCHITECTURES if name != "htdemucs" and _may_be(name, model)]
    if not possible:
        raise ModelUnavailableError(
            f"{path} is not for a network that Stemwright supports, by the settings of its 'model'; "
            f"it supports {', '.join(ARCHITECTURES)}."
        )
    possible += [MASKED] if "scnet" in possible else []
    raise ModelUnavailableError(
        f"{path} does not say which network it is for; give it with --architecture, one of: {', '.join(possible)}."
    )


def _may_be(name: str, settings: Mapping[str, Any]) -> bool:
    """Whether settings without a signature could be those of an architecture: none is missing, and none is strange."""
    known = {field.name: field for field in dataclasses.fields(options_type(name))}
    elsewhere = {"sources", "num_stems", "n_fft", "hop_length", "dim_f"} if name == "mdx23c" else set()
    missing = (
        {name for name, field in known.items() if field.default is dataclasses.MISSING} - set(settings) - elsewhere
    )
    strange = set(settings) - set(known) - set(NEUTRAL_VALUES) - TRAINING_SETTINGS
    return not missing and not strange


def _signature(settings: Mapping[str, Any]) -> str | None:
    if "band_SR" in settings:
        return "scnet"
    if "t_layers" in settings:
        return "htdemucs"
    if "num_bands" in settings:
        return "mel_band_roformer"
    if "num_blocks_per_scale" in settings:
        return "mdx23c"
    if "freqs_per_bands" in settings or "time_transformer_depth" in settings:
        return "bs_roformer"
    return None


def check_signature(name: str, settings: Mapping[str, Any], path: Path) -> None:
    """Checks that settings are not those of another architecture than named.

    Raises:
        ModelUnavailableError: they are.
    """
    found = _signature(settings)
    if found not in (None, name):
        raise ModelUnavailableError(f"{path} is for {found}, not for {name}; give the one that its settings are for.")
