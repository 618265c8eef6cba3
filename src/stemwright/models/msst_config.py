"""Reads configurations of Music-Source-Separation-Training (MSST), as published with checkpoints.

Such a YAML has the settings of a network, its training and its inference. Inference needs the network's options, its
labels, and the chunk size. Training settings are ignored by name, so that an unknown setting which may change the
network is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from stemwright.errors import ModelUnavailableError
from stemwright.models.msst_architecture import (
    MASKED,
    NEUTRAL_VALUES,
    TRAINING_SETTINGS,
    architecture_of,
    check_signature,
)
from stemwright.models.network_options import make_options
from stemwright.models.networks import ARCHITECTURES, options_type

MAX_OVERLAP = 0.5
"""Largest overlap of chunks, as a fraction; MSST allows more, for a small gain at twice the cost."""


@dataclass(frozen=True)
class Config:
    """The settings that inference needs.

    Attributes:
        architecture: one of ``networks.ARCHITECTURES``.
        options: options of the network, as plain data.
        labels: labels of its outputs, in order.
        not_separated: instruments of its training data that are not outputs.
        sample_rate_hz: sample rate of the network.
        chunk_samples: chunk length in samples.
        overlap: fraction shared by neighbouring chunks.
    """

    architecture: str
    options: Mapping[str, Any]
    labels: tuple[str, ...]
    not_separated: tuple[str, ...]
    sample_rate_hz: int
    chunk_samples: int
    overlap: float


def read_config(path: Path, architecture: str | None = None) -> Config:
    """Reads a configuration.

    Args:
        path: a YAML file; of the Python tags only tuples are supported.
        architecture: MSST's name of the architecture; by default it is detected from the settings.

    Raises:
        ModelUnavailableError: the file cannot be read, is not such a configuration, or has a network or a setting that
            Stemwright does not support.
    """
    tables = _read(path)
    kind = architecture or architecture_of(tables, path)
    name = "scnet" if kind == MASKED else kind
    if name not in ARCHITECTURES:
        raise ModelUnavailableError(
            f"{path} is for '{kind}', which Stemwright does not support; it supports {', '.join((*ARCHITECTURES, MASKED))}."
        )
    training = _table(tables, "training", path)
    labels = _labels(training, path)
    table = _table(tables, "htdemucs" if name == "htdemucs" else "model", path)
    if architecture:
        check_signature(name, table, path)
    options = _options(name, table, path)
    if name == "htdemucs":
        options |= _demucs_options(training, labels)
    if name == "mdx23c":
        options |= _mdx23c_options(tables, labels, path)
    if kind == MASKED:
        options["masked"] = True
    if name == "scnet" and _first(tables, ("inference.normalize",)):
        # MSST normalises the whole song, SCNet's own code the spectrum of each chunk: nearly the same for a network
        # that was trained on normalised music. The other networks normalise their input themselves.
        options["normalize_spectrum"] = True
    made = make_options(options_type(name), options, str(path))
    _check_outputs(made, labels, training.get("target_instrument"), path)
    rate_hz = _whole(_first(tables, ("audio.sample_rate", "training.samplerate")) or 44_100, "sample_rate", path)
    not_separated = tuple(str(label) for label in training.get("instruments") or () if str(label) not in labels)
    return Config(
        name, options, labels, not_separated, rate_hz, _chunk_samples(tables, name, path), _overlap(tables, path)
    )


def _read(path: Path) -> Mapping[str, Any]:
    try:
        import yaml
    except ModuleNotFoundError as error:
        raise ModelUnavailableError(
            "A configuration in YAML needs PyYAML: install it with `pip install stemwright[torch]`."
        ) from error

    class Loader(yaml.SafeLoader):
        """Plain data, and tuples."""

    make_tuple: Callable[[Any, Any], tuple[Any, ...]] = lambda loader, node: tuple(loader.construct_sequence(node))  # noqa: E731
    Loader.add_constructor("tag:yaml.org,2002:python/tuple", make_tuple)
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), Loader)
    except OSError as error:
        raise ModelUnavailableError(
            f"{path} cannot be read ({error.strerror or error}); give a configuration that you may read."
        ) from error
    except yaml.constructor.ConstructorError as error:
        raise ModelUnavailableError(
            f"{path} has YAML tags other than plain data and tuples ({error.problem}); remove them."
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ModelUnavailableError(
            f"{path} is not valid YAML ({' '.join(str(error).split())}); give the configuration of the checkpoint."
        ) from error
    if not isinstance(content, Mapping):
        raise ModelUnavailableError(f"{path} contains no tables; give the configuration of the checkpoint.")
    return content


def _table(tables: Mapping[str, Any], name: str, path: Path) -> Mapping[str, Any]:
    table = tables.get(name)
    if not isinstance(table, Mapping):
        raise ModelUnavailableError(f"{path} has no table '{name}'; give a configuration with one.")
    return table


def _labels(training: Mapping[str, Any], path: Path) -> tuple[str, ...]:
    instruments, target = training.get("instruments"), training.get("target_instrument")
    if target:
        return (str(target),)
    if not isinstance(instruments, Sequence) or isinstance(instruments, str) or not instruments:
        raise ModelUnavailableError(
            f"{path} does not name the 'instruments' of its 'training'; add them in their order."
        )
    return tuple(str(label) for label in instruments)


def _options(name: str, table: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """The settings that define the network, without those that do not change it."""
    known = {field.name for field in fields(options_type(name))}
    neutral, training = dict(NEUTRAL_VALUES), TRAINING_SETTINGS
    if name == "htdemucs":
        from stemwright.models.architectures.htdemucs import FIXED, UNUSED

        neutral |= {setting: (value, [], ()) if value is None else (value,) for setting, value in FIXED.items()}
        training = training | UNUSED
    options: dict[str, Any] = {}
    for setting, value in table.items():
        if setting in known:
            if value is not None:
                options[setting] = list(value) if isinstance(value, tuple) else value
        elif setting in neutral:
            if value not in neutral[setting]:
                raise ModelUnavailableError(
                    f"{path} sets '{setting}' to {value!r}, which this version cannot run; use another checkpoint."
                )
        elif setting not in training:
            raise ModelUnavailableError(
                f"{path} sets '{setting}', which {name} does not support; give the configuration of another checkpoint."
            )
    return options


def _demucs_options(training: Mapping[str, Any], labels: tuple[str, ...]) -> dict[str, Any]:
    given = {"audio_channels": "channels", "samplerate": "samplerate", "segment": "segment"}
    options = {option: training[setting] for option, setting in given.items() if setting in training}
    # with a target MSST still builds all outputs and uses one
    return {"sources": list(training.get("instruments") or labels), **options}


def _mdx23c_options(tables: Mapping[str, Any], labels: tuple[str, ...], path: Path) -> dict[str, Any]:
    audio = _table(tables, "audio", path)
    if audio.get("num_channels", 2) != 2:
        raise ModelUnavailableError(
            f"{path} sets 'num_channels' of its 'audio' to {audio['num_channels']!r}, where only 2 can be run; use another "
            "checkpoint."
        )
    options = {name: audio[name] for name in ("n_fft", "hop_length", "dim_f") if name in audio}
    if _first(tables, ("inference.normalize",)):  # MSST normalises the whole song; in training it normalises chunks
        options["normalize"] = True
    return {"num_stems": len(labels), **options}


def _check_outputs(options: Any, labels: tuple[str, ...], target: object, path: Path) -> None:
    sources = getattr(options, "sources", None)
    n_outputs = len(sources) if sources is not None else options.num_stems
    if n_outputs != len(labels):
        named = f"the target '{target}'" if target else f"{len(labels)} instruments"
        raise ModelUnavailableError(
            f"{path} sets '{'sources' if sources is not None else 'num_stems'}' to {n_outputs} outputs, but its 'training' "
            f"names {named}; make them agree."
        )


def _chunk_samples(tables: Mapping[str, Any], name: str, path: Path) -> int:
    if name == "htdemucs":
        seconds, rate_hz = _first(tables, ("training.segment",)), _first(tables, ("training.samplerate",))
        if isinstance(seconds, int | float) and isinstance(rate_hz, int):
            return int(seconds * rate_hz)
    named = _first(tables, ("inference.chunk_size", "audio.chunk_size"))
    if named is None:  # older configurations count frames
        frames = _first(tables, ("inference.dim_t", "audio.dim_t"))
        hop = _first(tables, ("audio.hop_length", "model.stft_hop_length", "model.hop_size"))
        if isinstance(frames, int) and isinstance(hop, int):
            named = hop * (frames - 1)
    if named is None:
        raise ModelUnavailableError(f"{path} does not set the chunk length: add 'audio.chunk_size', in samples.")
    return _whole(named, "chunk_size", path)


def _overlap(tables: Mapping[str, Any], path: Path) -> float:
    num_overlap = _whole(_first(tables, ("inference.num_overlap",)) or 2, "num_overlap", path)
    return min(MAX_OVERLAP, 1 - 1 / num_overlap)


def _first(tables: Mapping[str, Any], names: Sequence[str]) -> Any:
    for name in names:
        table, _, setting = name.partition(".")
        found = tables.get(table)
        if isinstance(found, Mapping) and found.get(setting) is not None:
            return found[setting]
    return None


def _whole(value: Any, name: str, path: Path) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise ModelUnavailableError(f"{path} sets '{name}' to {value!r}, which is not a valid number; correct it.")
    return value
