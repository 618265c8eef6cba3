"""Adds models of the user to the registry: a checkpoint with its YAML, or an ONNX file with its TOML."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import Any

from stemwright.errors import ModelUnavailableError, UsageError, storage_error
from stemwright.formatting import short_name
from stemwright.models import licences, published_labels, registry
from stemwright.models.registry import Model
from stemwright.models.weight_file import WeightFile, file_lock
from stemwright.models.weight_store import weights_folder

_UNNAMED: Mapping[str, Any] = {
    "name": "",
    "title": "",
    "kind": "waveform",
    "files": (),
    "licence": licences.UNSTATED,
    "licence_code": licences.UNSTATED,
}

_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")


def add(
    name: str,
    config: Path,
    checkpoint: Path,
    *,
    architecture: str | None = None,
    stems: Mapping[str, str] | None = None,
    title: str = "",
    licence: str = licences.UNSTATED,
    link: bool = False,
    reserved: Collection[str] = (),
) -> Model:
    """Adds a checkpoint, after checking that it fits the network of its configuration; or an ONNX file, after a run.

    Args:
        name: name for ``--plan``.
        config: of a checkpoint the YAML published with it, in the format of Music-Source-Separation-Training (MSST); of
            an ONNX file a TOML (``onnx_config``).
        checkpoint: the weights, which are copied into the weights folder.
        architecture: MSST's name, needed if it cannot be detected from the configuration; not for an ONNX file.
        stems: label to stem, for unknown labels.
        title: one line for users.
        licence: licence of the weights, an SPDX identifier.
        link: create a link to the weights instead of a copy.
        reserved: names that are not allowed, besides those of other models.

    Raises:
        UsageError: the name is taken or invalid.
        ModelUnavailableError: a file cannot be read, or they do not match.
        StorageError: the weights folder cannot be written.
    """
    _check_name(name, reserved)
    if checkpoint.suffix == ".onnx":
        described = _of_onnx(config, checkpoint, architecture, stems or {})
    else:
        described = _of_checkpoint(config, checkpoint, architecture, stems)
    with _name_locked(name):
        _check_name(name, reserved)
        model = replace(
            described,
            name=name,
            title=title or f"{checkpoint.name}, added by you",
            files=(_import_checkpoint(checkpoint, name + checkpoint.suffix, link=link),),
            licence=licence,
            added=True,
        )
        _write(model)
    return model


def _of_checkpoint(config: Path, checkpoint: Path, architecture: str | None, stems: Mapping[str, str] | None) -> Model:
    """A model of PyTorch, without its name and file; the checkpoint was checked against its network."""
    try:
        import torch  # noqa: F401  # checks that it is installed
    except ModuleNotFoundError as error:
        raise ModelUnavailableError(
            "Adding a model needs PyTorch: install it with `pip install stemwright[torch]`."
        ) from error
    from stemwright.models.checkpoint import load_into, read_checkpoint
    from stemwright.models.flop_count import gflop_per_s
    from stemwright.models.msst_config import read_config
    from stemwright.models.networks import build

    config_facts = read_config(config, architecture)
    sources = published_labels.sources(
        config_facts.labels, not_separated=config_facts.not_separated, chosen=stems, source=str(config)
    )
    weights = read_checkpoint(checkpoint)
    options = {**config_facts.options}
    if config_facts.architecture == "bs_roformer" and any(".segm." in name for name in weights):
        options["hyperace"] = True  # published with the configuration of a network without this head
    load_into(build(config_facts.architecture, options), weights, checkpoint)
    empty = build(config_facts.architecture, options)
    return Model(
        **_UNNAMED,
        runtime="pytorch",
        sample_rate_hz=config_facts.sample_rate_hz,
        labels=config_facts.labels,
        sources=sources,
        architecture=config_facts.architecture,
        options=options,
        chunk_samples=config_facts.chunk_samples,
        overlap=config_facts.overlap,
        gflop_per_s=gflop_per_s(empty, config_facts.chunk_samples, config_facts.overlap, config_facts.sample_rate_hz),
    )


def _of_onnx(config: Path, graph: Path, architecture: str | None, stems: Mapping[str, str]) -> Model:
    """A model of ONNX Runtime, without its name and file; one chunk was run through it."""
    from stemwright.models.onnx_config import OnnxConfig
    from stemwright.models.onnx_trial import run_one_chunk

    if architecture is not None:
        raise UsageError("--architecture is for checkpoints of PyTorch; leave it out for an ONNX file.")
    described = OnnxConfig.read(config)
    model = Model(
        **_UNNAMED,
        runtime="onnx",
        sample_rate_hz=described.sample_rate_hz,
        labels=described.labels,
        sources=described.stem_sources(stems, str(config)),
        onnx=described.onnx,
        chunk_samples=described.chunk_samples,
        overlap=described.overlap,
        overlapping=described.overlapping,
        gflop_per_s=described.gflop_per_s,
        memory_mb=described.memory_mb,
    )
    run_one_chunk(model, graph)
    return model


def remove_description(model: Model) -> None:
    """Removes the description of an added model. Its weights stay.

    Raises:
        StorageError: it cannot be removed.
    """
    path = _description(model.name)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(error, path) from error


def _check_name(name: str, reserved: Collection[str]) -> None:
    if not _NAME.fullmatch(name):
        raise UsageError(
            f"'{short_name(name)}' is not a valid model name; use lower-case letters, digits, dots, dashes and "
            "underscores, 64 at most."
        )
    if name in reserved or name in {model.name for model in registry.models()}:
        raise UsageError(f"There is a model or plan named '{name}' already; choose another name.")


@contextmanager
def _name_locked(name: str) -> Iterator[None]:
    """Locks a name, so that no other process adds a model of that name."""
    folder = weights_folder()

    def refuse() -> None:
        raise UsageError(f"A model named '{name}' is being added right now; choose another name.")

    try:
        folder.mkdir(parents=True, exist_ok=True)
        with file_lock(folder / f".{name}.lock", refuse):
            yield
    except OSError as error:
        raise storage_error(error, folder) from error


def _import_checkpoint(checkpoint: Path, name: str, *, link: bool) -> WeightFile:
    """Copies or links a file into the weights folder, atomically."""
    folder = weights_folder()
    path, part = folder / name, folder / f".{name}.{os.getpid()}.part"
    try:
        if link:
            part.symlink_to(checkpoint.resolve())
        else:
            shutil.copyfile(checkpoint, part)
        with part.open("rb") as content:
            digest = hashlib.file_digest(content, "sha256").hexdigest()
        size_bytes = part.stat().st_size
        part.replace(path)
    except OSError as error:
        with suppress(OSError):
            part.unlink(missing_ok=True)
        raise storage_error(error, path) from error
    return WeightFile(name, "", size_bytes, digest)


def _description(name: str) -> Path:
    return registry.added_folder() / f"{name}.toml"


def _write(model: Model) -> None:
    import tomli_w

    path = _description(model.name)
    part = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(tomli_w.dumps(_table(model)).encode())
        part.replace(path)
    except OSError as error:
        raise storage_error(error, path) from error


def _table(model: Model) -> dict[str, Any]:
    """The table that ``Model.from_table`` reads."""
    values = {
        field.name: getattr(model, field.name) for field in fields(model) if field.name not in ("added", "removes")
    }
    if model.onnx is not None:
        values["onnx"] = model.onnx.to_table()
    return {name: _to_toml(value) for name, value in values.items() if value is not None}


def _to_toml(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _to_toml(one) for key, one in value.items() if one is not None}
    if isinstance(value, tuple | list):
        return [_to_toml(one) for one in value]
    return asdict(value) if hasattr(value, "__dataclass_fields__") else value
