"""Weights that are installed as far as their size shows: holes on the disk, which nothing may load."""

from __future__ import annotations

from pathlib import Path

import pytest

from stemwright.models import registry, speed

VARIABLES = ("STEMWRIGHT_OFFLINE", "STEMWRIGHT_LICENSE", "STEMWRIGHT_MODEL_MIRROR")


def own_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without published weights, measurements and a GPU, as fast as a laptop; gives its folder of weights."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("STEMWRIGHT_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.setenv("STEMWRIGHT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr("stemwright.models.devices.likely_gpu", lambda: None)
    monkeypatch.setattr("stemwright.models.speed.LEAST_CORE_GFLOP_PER_S", 50.0)  # a thread of a laptop's processor
    speed.gflop_per_s.cache_clear()
    return tmp_path / "models"


def install(folder: Path, *names: str) -> None:
    """Makes the files of models, with their sizes and no content."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        for file in registry.find(name).files:
            with (folder / file.name).open("wb") as path:
                path.truncate(file.size_bytes)
