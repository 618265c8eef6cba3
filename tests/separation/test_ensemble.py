from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from stemwright.errors import ModelUnavailableError
from stemwright.separation.cascade import Cascade
from stemwright.separation.ensemble import EngineRoom, PlannedEnsemble, is_installed
from stemwright.separation.plan import Plan, plan_of
from stemwright.stems import select
from tests.separation.engines import LocalWaveforms


@pytest.fixture(autouse=True)
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMWRIGHT_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.delenv("STEMWRIGHT_OFFLINE", raising=False)
    monkeypatch.delenv("STEMWRIGHT_LICENSE", raising=False)


def ensemble(plan: Plan, licence: str | None = None) -> PlannedEnsemble:
    return PlannedEnsemble(plan, EngineRoom("cpu", 1), licence)


def cascade(licence: str | None = None, stems: str = "twelve") -> Cascade:
    first_pass = ensemble(plan_of("best"), licence).first_pass(select(stems))
    assert isinstance(first_pass, Cascade)
    return first_pass


def names(found: Cascade) -> list[str]:
    return [model.split("@")[0] for model in found.models]


def test_the_best_plan_takes_the_first_model_of_each_step_and_each_once() -> None:
    found = cascade()
    assert names(found) == [
        "mel-band-roformer-kim",
        "bs-roformer-karaoke-becruily",
        "bs-roformer-sw",
        "mega-53",
    ]
    assert [step.name for step in found.steps][2:] == ["3 drums and bass, guitar and keyboard", "5 colours"]
    assert list(found.steps[2].outputs) == ["drums", "bass", "guitar", "keyboard"]
    assert (found.steps[2].hears, found.steps[2].leaves, found.steps[2].otherwise) == ("band", "colours", "colours")
    assert found.notes == ()


def test_where_only_permissive_weights_may_run_others_stand_in_and_it_is_said() -> None:
    found = cascade("permissive")
    assert names(found) == ["mel-band-roformer-kim", "scnet-large", "stemwright-12"]
    said = " ".join(found.notes)
    assert "scnet-large stands in for bs-roformer-sw" in said
    assert "'lead and backing' was left out" in said


def test_what_is_missing_is_what_the_stems_take() -> None:
    best = ensemble(plan_of("best"))
    assert [model.name for model in best.missing(select("two"))] == ["mel-band-roformer-kim"]
    assert len(best.missing(select("twelve"))) == 4
    assert ensemble(plan_of("fast")).missing(select("twelve")) == ()


def test_offline_the_wheel_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMWRIGHT_OFFLINE", "1")
    found = cascade()
    assert names(found) == ["stemwright-12"]
    assert found.models[0] == ensemble(plan_of("fast")).first_pass(select("two")).models[0]


@pytest.mark.parametrize(
    ("plan", "settings", "said"),
    [
        ("htdemucs", {"STEMWRIGHT_OFFLINE": "1"}, "955717e8-8726e21a.th"),
        ("htdemucs", {"STEMWRIGHT_LICENSE": "permissive"}, "permissive"),
    ],
)
def test_a_model_that_is_asked_for_by_name_has_no_stand_in(
    plan: str, settings: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ModelUnavailableError, match=said):
        ensemble(plan_of(plan))


def test_a_plan_is_installed_when_nothing_need_be_downloaded() -> None:
    assert is_installed(plan_of("fast"))
    assert not is_installed(plan_of("best"))


def test_an_engine_is_loaded_once() -> None:
    room = EngineRoom("cpu", 1)
    model: Any = ensemble(plan_of("fast"))._cast[0]
    assert room.engine(model) is room.engine(model)


def test_of_a_large_network_only_what_a_step_takes_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, tuple[str, ...]]] = []

    def remember(self: EngineRoom, model: Any, is_cancelled: object = None) -> Any:
        asked.append((model.name, model.stems))
        return LocalWaveforms(stems=model.stems)

    monkeypatch.setattr(EngineRoom, "engine", remember)
    for step in cascade().steps:
        assert step.load is not None
        step.load(lambda: False)
    assert dict(asked)["mega-53"] == ("strings", "brass", "woodwinds", "percussion", "synth")
    assert dict(asked)["bs-roformer-sw"] == ("drums", "bass", "guitar", "keyboard")
