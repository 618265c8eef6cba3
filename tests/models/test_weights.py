from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from stemwright.errors import ModelUnavailableError
from stemwright.models import registry, weights


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(weights, "WHEEL_FOLDER", tmp_path)
    return tmp_path


def test_a_missing_file_is_told(folder: Path) -> None:
    model = registry.find("stemwright-12")
    assert not weights.is_available(model)
    with pytest.raises(ModelUnavailableError, match="install Stemwright again"):
        weights.load(model)


@pytest.mark.parametrize("harm", ["cut", "changed"])
def test_a_damaged_file_is_never_run(folder: Path, harm: str) -> None:
    model = registry.find("stemwright-12")
    whole = Path(__file__).parents[2].joinpath("src/stemwright/models/weights", model.file).read_bytes()
    damaged = whole[:-1] if harm == "cut" else whole[:1000] + bytes([whole[1000] ^ 1]) + whole[1001:]
    (folder / model.file).write_bytes(damaged)
    with pytest.raises(ModelUnavailableError, match="damaged"):
        weights.load(model)


def test_a_file_of_another_version_is_not_installed(folder: Path) -> None:
    model = replace(registry.find("stemwright-12"), size_bytes=4)
    (folder / model.file).write_bytes(b"old")
    assert not weights.is_available(model)
