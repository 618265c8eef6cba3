"""The registry: which models there are, as data."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources

from stemwright.errors import ModelUnavailableError


@dataclass(frozen=True)
class Model:
    """One model of the registry.

    Attributes:
        name: what ``--plan`` and the results call it.
        title: one line for people.
        runtime: what runs it: ``onnx``.
        kind: ``mask`` or ``waveform``, the protocol of ``models.engine`` that it speaks.
        file: name of its weights.
        size_bytes: size of that file.
        sha256: digest of that file.
        licence: licence of the weights, an SPDX identifier.
        licence_code: licence of the code that they run in.
        sample_rate_hz: rate that it works at.
        stems: what it separates, in order.
        url: where its weights come from; None for those in the wheel.
    """

    name: str
    title: str
    runtime: str
    kind: str
    file: str
    size_bytes: int
    sha256: str
    licence: str
    licence_code: str
    sample_rate_hz: int
    stems: tuple[str, ...]
    url: str | None = None


@cache
def models() -> tuple[Model, ...]:
    """All models, in the order of the registry file."""
    text = (resources.files("stemwright.models") / "registry.toml").read_text()
    return tuple(Model(**{**entry, "stems": tuple(entry["stems"])}) for entry in tomllib.loads(text)["models"])


def find(name: str) -> Model:
    """The model of that name.

    Raises:
        ModelUnavailableError: the registry has none.
    """
    for model in models():
        if model.name == name:
            return model
    known = ", ".join(model.name for model in models())
    raise ModelUnavailableError(f"There is no model named '{name}'; `stemwright models` lists them: {known}.")
