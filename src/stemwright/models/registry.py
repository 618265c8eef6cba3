"""The registry of all models."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from stemwright.errors import ModelUnavailableError
from stemwright.formatting import short_name
from stemwright.models import accepted_digests
from stemwright.models.onnx_contract import OnnxContract
from stemwright.models.weight_file import WeightFile
from stemwright.models.weight_store import weights_folder
from stemwright.stems import STEMS

REMAINDER_LABEL = "rest"
"""A pseudo-label: the song less all labels of the network."""


@dataclass(frozen=True)
class PublishedScore:
    """A published score of a model.

    Attributes:
        stem: name of the stem.
        db: the score.
        protocol: metric and data set; scores of different protocols are not comparable.
        source: page that states it.
    """

    stem: str
    db: float
    protocol: str
    source: str


@dataclass(frozen=True)
class RetiredModel:
    """A model that the registry no longer has.

    Attributes:
        name: its former name.
        successor: name of the model to take in its place.
        reason: why it is no longer there, a clause.
        files: names of its weights, which may still lie in the weights folder.
    """

    name: str
    successor: str
    reason: str
    files: tuple[str, ...]

    @property
    def sentence(self) -> str:
        """What to tell someone who asks for it."""
        lying = [str(path) for path in (weights_folder() / name for name in self.files) if path.exists()]
        delete = f"; its weights {', '.join(lying)} may be deleted" if lying else ""
        return f"{self.name} was retired, since {self.reason}: take {self.successor} in its place{delete}."


@dataclass(frozen=True)
class Model:
    """One model of the registry.

    Attributes:
        name: name for ``--plan`` and in results.
        title: one line for users.
        runtime: ``onnx`` or ``pytorch``.
        kind: ``mask`` or ``waveform``, its protocol of ``models.engine``.
        files: its weights; several for a bag, with one network per label.
        licence: licence of the weights, an SPDX identifier, or ``unstated``.
        licence_code: licence of the code published with them.
        licence_note: remarks on the licence, with a source; empty where it is clear.
        sample_rate_hz: sample rate of the network.
        labels: published labels of the network's outputs, in order.
        sources: for each stem that it separates, the labels that are summed for it.
        architecture: module of ``models.architectures``; empty for an ONNX file.
        options: options of the network, under their published names; parsed when the network is built.
        onnx: what the tensors of an ONNX file mean; None for other files and for the mask network in the wheel.
        chunk_samples: chunk length in samples; overlap: fraction shared by neighbouring chunks.
        removes: what it removes before a plan separates the song, as its ``fx``: ``noise``; empty for a model that
            separates.
        overlapping: outputs may contain the same sound, so their sum can exceed the mix.
        gflop_per_s: billions of operations per second of song.
        memory_mb: memory on a CPU besides the weights; 0 if unknown.
        onnx_memory_mb: the same in ONNX Runtime, of a network of PyTorch that has a graph too (``graph_templates``).
        scores: published scores.
        page: URL of its documentation.
        added: it was added by the user.
    """

    name: str
    title: str
    runtime: str
    kind: str
    files: tuple[WeightFile, ...]
    licence: str
    licence_code: str
    sample_rate_hz: int
    labels: tuple[str, ...]
    sources: Mapping[str, tuple[str, ...]]
    licence_note: str = ""
    architecture: str = ""
    options: Mapping[str, Any] = field(default_factory=dict)
    onnx: OnnxContract | None = None
    chunk_samples: int = 0
    overlap: float = 0.25
    removes: str = ""
    overlapping: bool = False
    gflop_per_s: float = 0.0
    memory_mb: int = 0
    onnx_memory_mb: int = 0
    scores: tuple[PublishedScore, ...] = ()
    page: str = ""
    added: bool = False

    @property
    def stems(self) -> tuple[str, ...]:
        """The stems that it separates, in the order of the vocabulary."""
        return tuple(stem for stem in STEMS if stem in self.sources)

    @property
    def size_bytes(self) -> int:
        """Size of its weights."""
        return sum(file.size_bytes for file in self.files)

    @property
    def in_wheel(self) -> bool:
        """Whether its weights ship with Stemwright."""
        return not self.added and all(not file.url for file in self.files)

    @property
    def identity(self) -> str:
        """Name and digest, which identify the model and its output.

        The digest covers the weights, and for models added by the user also their settings.
        """
        parts = [file.sha256 for file in self.files]
        if self.added:
            settings = (self.labels, self.sources, self.options, self.chunk_samples, self.overlap)
            parts.append(repr(settings if self.onnx is None else (*settings, self.onnx)))
        digest = parts[0] if len(parts) == 1 else hashlib.sha256("".join(parts).encode()).hexdigest()
        return f"{self.name}@{digest[:16]}"

    def restricted(self, stems: Collection[str]) -> Model:
        """The same model for some of its stems; weights that only other stems need are not loaded."""
        return replace(self, sources={stem: self.sources[stem] for stem in self.stems if stem in stems})

    @classmethod
    def from_table(cls, table: Mapping[str, Any], *, added: bool = False) -> Model:
        """Parses one table of a registry file."""
        facts = dict(table)
        facts["files"] = tuple(map(WeightFile.from_table, facts["files"]))
        facts["labels"] = tuple(facts["labels"])
        facts["sources"] = {stem: tuple(labels) for stem, labels in facts["sources"].items()}
        facts["scores"] = tuple(PublishedScore(**score) for score in facts.get("scores", ()))
        if "onnx" in facts:
            facts["onnx"] = OnnxContract.from_table(facts["onnx"], str(facts["name"]))
        return cls(**facts, added=added)


def models() -> tuple[Model, ...]:
    """All models: those of Stemwright's own registry in its order, then the user's by name.

    A file whose new digest the user accepted has that one.
    """
    return (*map(_as_accepted, _shipped()), *_added(added_folder()))


def find(name: str) -> Model:
    """The model of that name.

    Raises:
        ModelUnavailableError: the registry has none.
    """
    for found in (_shipped, models):  # an invalid description of a user's model must not affect shipped models
        for model in found():
            if model.name == name:
                return _as_accepted(model)
    check_retired(name)
    raise ModelUnavailableError(
        f"There is no model named '{short_name(name)}'; `stemwright models` lists all{similar_names(name)}."
    )


def similar_names(name: str) -> str:
    """The end of a sentence that lists models: the names that ``name`` may have meant, or nothing."""
    found = get_close_matches(name[:64].lower(), [model.name for model in models()], n=4, cutoff=0.5)
    return f", among them {', '.join(found)}" if found else ""


def check_retired(name: str) -> None:
    """Checks that a name is not that of a model that was retired.

    Raises:
        ModelUnavailableError: it is; the error names the successor.
    """
    for model in retired():
        if model.name == name:
            raise ModelUnavailableError(model.sentence)


@cache
def retired() -> tuple[RetiredModel, ...]:
    """The models that the registry no longer has."""
    return tuple(RetiredModel(**{**table, "files": tuple(table["files"])}) for table in _tables()["retired"])


def added_folder() -> Path:
    """Folder of the descriptions ``<name>.toml`` of models added by the user."""
    return weights_folder() / "added"


@cache
def _shipped() -> tuple[Model, ...]:
    return tuple(Model.from_table(table) for table in _tables()["models"])


@cache
def _tables() -> dict[str, Any]:
    return tomllib.loads((resources.files("stemwright.models") / "registry.toml").read_text(encoding="utf-8"))


def _as_accepted(model: Model) -> Model:
    files = tuple(file if model.added else accepted_digests.applied(file) for file in model.files)
    return model if files == model.files else replace(model, files=files)


def _added(folder: Path) -> tuple[Model, ...]:
    found = []
    for path in sorted(folder.glob("*.toml")):
        try:
            found.append(Model.from_table(tomllib.loads(path.read_text(encoding="utf-8")), added=True))
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelUnavailableError(
                f"{path} does not describe a model ({error}); remove it, and add the model again."
            ) from error
    return tuple(found)
