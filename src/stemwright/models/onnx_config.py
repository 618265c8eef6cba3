"""The TOML that describes an ONNX file for ``stemwright models add``."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stemwright.errors import ModelUnavailableError
from stemwright.models import published_labels
from stemwright.models.onnx_contract import OnnxContract
from stemwright.models.registry import REMAINDER_LABEL, Model
from stemwright.stems import STEMS

_KINDS: Mapping[str, tuple[type[Any], ...]] = {
    "sample_rate_hz": (int,),
    "labels": (list,),
    "chunk_samples": (int,),
    "overlap": (float, int),
    "overlapping": (bool,),
    "gflop_per_s": (float, int),
    "memory_mb": (int,),
    "sources": (dict,),
    "onnx": (dict,),
}
"""Keys and the types of their values."""

_NEEDED = ("sample_rate_hz", "labels", "chunk_samples", "onnx")


@dataclass(frozen=True)
class OnnxConfig:
    """A description of an ONNX file; the attributes are those of ``registry.Model``.

    ``sources`` is empty where the labels say which stems they are.
    """

    sample_rate_hz: int
    labels: tuple[str, ...]
    chunk_samples: int
    onnx: OnnxContract
    overlap: float = 0.25
    overlapping: bool = False
    gflop_per_s: float = 0.0
    memory_mb: int = 0
    sources: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> OnnxConfig:
        """Reads a description.

        Raises:
            ModelUnavailableError: the file cannot be read, a key is unknown or missing, or has a value that is not valid.
        """
        try:
            table = tomllib.loads(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise ModelUnavailableError(
                f"{path} cannot be read ({error.strerror or error}); give a description that you may read."
            ) from error
        except ValueError as error:
            raise ModelUnavailableError(
                f"{path} is not valid TOML ({error}); give the description of an ONNX file, as in docs/models.md."
            ) from error
        for name, value in table.items():
            if name not in _KINDS:
                raise ModelUnavailableError(f"{path} has the unknown key '{name}'; it can have {', '.join(_KINDS)}.")
            if not isinstance(value, _KINDS[name]) or isinstance(value, bool) != (_KINDS[name] == (bool,)):
                raise ModelUnavailableError(f"{path} sets '{name}' to {value!r}, which is not valid; correct it.")
        for name in _NEEDED:
            if name not in table:
                raise ModelUnavailableError(f"{path} does not set '{name}'; add it, as in docs/models.md.")
        config = cls(
            **{
                **table,
                "labels": tuple(str(label) for label in table["labels"]),
                "sources": {stem: tuple(map(str, labels)) for stem, labels in table.get("sources", {}).items()},
                "onnx": OnnxContract.from_table(table["onnx"], str(path)),
            }
        )
        config._check(path)
        return config

    @classmethod
    def of_model(cls, model: Model) -> OnnxConfig:
        """The description of a model with a contract."""
        assert model.onnx is not None
        return cls(
            model.sample_rate_hz,
            model.labels,
            model.chunk_samples,
            model.onnx,
            model.overlap,
            model.overlapping,
            model.gflop_per_s,
            model.memory_mb,
            model.sources,
        )

    def to_toml(self) -> bytes:
        """The content of the file."""
        import tomli_w

        table: dict[str, Any] = {
            "sample_rate_hz": self.sample_rate_hz,
            "labels": list(self.labels),
            "chunk_samples": self.chunk_samples,
            "overlap": self.overlap,
            "overlapping": self.overlapping,
            "gflop_per_s": self.gflop_per_s,
            "memory_mb": self.memory_mb,
            "sources": {stem: list(labels) for stem, labels in self.sources.items()},
            "onnx": self.onnx.to_table(),
        }
        return tomli_w.dumps({name: value for name, value in table.items() if value not in ({}, False, 0)}).encode()

    def stem_sources(self, chosen: Mapping[str, str], source: str) -> dict[str, tuple[str, ...]]:
        """For each stem that it separates, the labels that are summed for it.

        Args:
            chosen: label to stem; where it is empty, ``sources`` is used.
            source: where this was read, for error messages.

        Raises:
            ModelUnavailableError: a label has no known stem.
        """
        if self.sources and not chosen:
            return dict(self.sources)
        return published_labels.sources(self.labels, chosen=chosen, source=source)

    def _check(self, path: Path) -> None:
        def refuse(what: str) -> None:
            raise ModelUnavailableError(f"{path} {what}; correct it.")

        if not self.labels or len(set(self.labels)) < len(self.labels):
            refuse("sets 'labels' to none, or to the same one twice")
        if not 8000 <= self.sample_rate_hz <= 192_000:
            refuse(f"sets 'sample_rate_hz' to {self.sample_rate_hz}")
        if self.chunk_samples < 1 or not 0 <= self.overlap <= 0.5:
            refuse(
                f"sets a chunk of {self.chunk_samples} samples with an overlap of {self.overlap:g}, where 0 to 0.5 is valid"
            )
        for stem, labels in self.sources.items():
            if stem not in STEMS:
                refuse(f"names the unknown stem '{stem}'; there are {', '.join(STEMS)}")
            for label in labels:
                if label not in (*self.labels, REMAINDER_LABEL):
                    refuse(f"names the label '{label}' for {stem}, which is not one of its 'labels'")
        try:
            self.onnx.sizes(chunk_samples=self.chunk_samples, n_sources=len(self.labels))
        except ValueError as error:
            refuse(f"contradicts itself: {error}")
