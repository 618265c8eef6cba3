"""The registry: which models there are, as data."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from stemwright.errors import ModelUnavailableError
from stemwright.models.weight_file import WeightFile
from stemwright.models.weight_store import weights_folder
from stemwright.stems import STEMS

REMAINDER_LABEL = "rest"
"""A label that no network gives: what its labels leave of the song."""


@dataclass(frozen=True)
class PublishedScore:
    """A measured score of a model, as its source gives it.

    Attributes:
        stem: name of the stem.
        db: the score.
        protocol: what was measured on what; scores of different protocols do not compare.
        source: page that says so.
    """

    stem: str
    db: float
    protocol: str
    source: str


@dataclass(frozen=True)
class Model:
    """One model of the registry.

    Attributes:
        name: what ``--plan`` and the results call it.
        title: one line for people.
        runtime: what runs it: ``onnx`` or ``pytorch``.
        kind: ``mask`` or ``waveform``, the protocol of ``models.engine`` that it speaks.
        files: its weights; several where one network was trained for each label (a bag).
        licence: licence of the weights, an SPDX identifier, or ``unstated``.
        licence_code: licence of the code that they were published with.
        licence_note: what there is to know of it, with its source; empty where the licence is plain.
        sample_rate_hz: rate that it works at.
        labels: what the network gives, in its order, by the names of whoever published it.
        sources: for each stem that it separates the labels that are added up to it.
        architecture: which network of ``models.architectures`` it is; empty for one in a file of its own.
        options: of the network, by their published names; read where the network is made.
        chunk_samples: chunk length in samples; overlap: fraction shared by neighbouring chunks.
        overlapping: labels may claim the same sound, so together they may claim more than there is.
        gflop_per_s: billions of operations for a second of song.
        memory_mb: what it takes beside its weights, on a processor.
        scores: measured by others.
        page: where to read about it.
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
    chunk_samples: int = 0
    overlap: float = 0.25
    overlapping: bool = False
    gflop_per_s: float = 0.0
    memory_mb: int = 0
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
    def identity(self) -> str:
        """Name and digest: what tells it from a model of the same name that does something else.

        The digest is that of the weights, or of them and what is made of them where that is the user's to say.
        """
        parts = [file.sha256 for file in self.files]
        if self.added:
            parts.append(repr((self.labels, self.sources, self.options, self.chunk_samples, self.overlap)))
        digest = parts[0] if len(parts) == 1 else hashlib.sha256("".join(parts).encode()).hexdigest()
        return f"{self.name}@{digest[:16]}"

    def restricted(self, stems: Collection[str]) -> Model:
        """The same model for some of its stems: what only the others need is not read."""
        return replace(self, sources={stem: self.sources[stem] for stem in self.stems if stem in stems})

    @classmethod
    def from_table(cls, table: Mapping[str, Any], *, added: bool = False) -> Model:
        """Reads one table of a registry file."""
        facts = dict(table)
        facts["files"] = tuple(WeightFile(**file) for file in facts["files"])
        facts["labels"] = tuple(facts["labels"])
        facts["sources"] = {stem: tuple(labels) for stem, labels in facts["sources"].items()}
        facts["scores"] = tuple(PublishedScore(**score) for score in facts.get("scores", ()))
        return cls(**facts, added=added)


def models() -> tuple[Model, ...]:
    """All models: those of Stemwright's own registry in its order, then the user's by name."""
    return (*_shipped(), *_added(added_folder()))


def find(name: str) -> Model:
    """The model of that name.

    Raises:
        ModelUnavailableError: the registry has none.
    """
    for found in (_shipped, models):  # a broken description of one's own model is no matter of the others
        for model in found():
            if model.name == name:
                return model
    known = ", ".join(model.name for model in models())
    raise ModelUnavailableError(f"There is no model named '{name}'; `stemwright models` lists them: {known}.")


def added_folder() -> Path:
    """Where a file ``<name>.toml`` describes each model that the user added."""
    return weights_folder() / "added"


@cache
def _shipped() -> tuple[Model, ...]:
    text = (resources.files("stemwright.models") / "registry.toml").read_text(encoding="utf-8")
    return tuple(Model.from_table(table) for table in tomllib.loads(text)["models"])


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
