from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from stemwright.errors import ModelUnavailableError
from stemwright.models import registry
from stemwright.separation.cascade import Cascade
from stemwright.separation.engine_cache import EngineCache
from stemwright.separation.model_choice import is_installed
from stemwright.separation.model_resolver import PlanResolver
from stemwright.separation.plan import Plan, plan_of
from stemwright.separation.separator import Separator
from stemwright.separation.source import ArraySource
from stemwright.stems import select
from tests.separation.engines import LocalWaveforms


@pytest.fixture(autouse=True)
def nothing_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMWRIGHT_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.delenv("STEMWRIGHT_OFFLINE", raising=False)
    monkeypatch.delenv("STEMWRIGHT_LICENSE", raising=False)


def resolver(plan: Plan, licence: str | None = None) -> PlanResolver:
    return PlanResolver(plan, EngineCache("cpu", 1), licence)


def cascade(licence: str | None = None, stems: str = "twelve") -> Cascade:
    analysis_pass = resolver(plan_of("best"), licence).analysis_pass(select(stems))
    assert isinstance(analysis_pass, Cascade)
    return analysis_pass


def names(found: Cascade) -> list[str]:
    return [model.split("@")[0] for model in found.models]


def test_the_best_plan_takes_the_first_model_of_each_step_and_each_once() -> None:
    found = cascade()
    assert names(found) == [
        "bs-roformer-leap-xe-vocals",
        "bs-roformer-karaoke-becruily",
        "bs-roformer-sw",
        "mega-53",
    ]
    assert [step.name for step in found.steps][2:] == ["3 drums and bass, guitar and keyboard", "5 colours"]
    assert list(found.steps[2].outputs) == ["drums", "bass", "guitar", "keyboard"]
    assert (found.steps[2].input, found.steps[2].remainder, found.steps[2].if_skipped) == ("band", "colours", "colours")
    assert found.notes == ()


def test_where_only_permissive_weights_may_run_others_stand_in_and_it_is_said() -> None:
    found = cascade("permissive")
    assert names(found) == ["mel-band-roformer-kim", "scnet-large", "stemwright-12"]
    said = " ".join(found.notes)
    assert "scnet-large is used in place of bs-roformer-sw" in said
    assert "'lead and backing' was skipped" in said


@pytest.mark.parametrize(
    ("stems", "said"),
    [
        ("two", ["leap-xe-vocals"]),
        ("drums", ["leap-xe-vocals", "bs-roformer-sw"]),
        ("vocals,backing_vocals", ["leap-xe-vocals", "lead and backing"]),
    ],
)
def test_parts_that_need_few_steps_come_out_whole_and_only_of_those_steps_something_is_said(
    stems: str, said: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a step gives to one that is left out belongs to a part all the same."""
    monkeypatch.setenv("STEMWRIGHT_OFFLINE", "1")
    song = np.random.default_rng(2).uniform(-0.5, 0.5, (2, 60_000)).astype(np.float32)
    parts = Separator("best", device="cpu", threads=1).separate(song, 44_100, stems)
    np.testing.assert_allclose(sum(parts.values()), song, atol=1e-6)
    assert parts[select(stems).names[-1]].any()
    notes = cascade(stems=stems).notes
    assert len(notes) == len(said)
    assert all(words in note for words, note in zip(said, notes, strict=True))


def test_stems_that_no_model_of_a_plan_gives_are_told() -> None:
    analysis_pass = resolver(plan_of("scnet-large")).analysis_pass(select("vocals,guitar"))
    assert analysis_pass.notes == (
        "No model of this plan separates guitar: the files are silent, the sound is in other stems.",
    )
    assert resolver(plan_of("scnet-large")).analysis_pass(select("two")).notes == ()


@pytest.mark.parametrize("plan", ["htdemucs", "mega-53"])
def test_what_could_not_run_is_told_before_anything_is_downloaded(plan: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    with pytest.raises(ModelUnavailableError, match="has no device mps"):
        Separator(plan, device="mps", threads=1)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModelUnavailableError, match="has no device mps" if plan == "htdemucs" else "needs PyTorch"):
        Separator(plan, device="mps", threads=1)


def test_without_pytorch_what_needs_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModelUnavailableError, match=r"needs PyTorch: pip install 'stemwright\[torch\]'"):
        Separator("mega-53", threads=1)


def test_without_pytorch_networks_in_onnx_files_stand_in_and_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    found = cascade()
    assert names(found) == ["mel-band-roformer-kim-onnx", "bs-roformer-sw-onnx", "stemwright-12"]
    notes = " ".join(found.notes)
    assert "mel-band-roformer-kim-onnx is used in place of bs-roformer-leap-xe-vocals" in notes
    assert "'lead and backing' was skipped" in notes
    assert "pip install 'stemwright[torch]'" in notes


def test_the_presence_scan_needs_no_gpu() -> None:
    """The runtime of the small network seldom has one where PyTorch does."""
    song = ArraySource(np.zeros((2, 44_100), np.float32), 44_100)
    assert EngineCache("cuda", 1).scan_presence(song, lambda: False).is_absent("drums")


def test_what_is_missing_is_what_the_stems_take() -> None:
    best = resolver(plan_of("best"))
    assert [model.name for model in best.missing(select("two"))] == ["bs-roformer-leap-xe-vocals"]
    assert len(best.missing(select("twelve"))) == 4
    assert resolver(plan_of("fast")).missing(select("twelve")) == ()


def test_offline_the_wheel_stands_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMWRIGHT_OFFLINE", "1")
    found = cascade()
    assert names(found) == ["stemwright-12"]
    assert found.models[0] == resolver(plan_of("fast")).analysis_pass(select("two")).models[0]


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
        resolver(plan_of(plan))


def test_a_plan_is_installed_when_nothing_need_be_downloaded() -> None:
    assert is_installed(plan_of("fast"))
    assert not is_installed(plan_of("best"))


def test_a_plan_that_may_not_be_used_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stemwright.models.weight_store.is_available", lambda model: True)
    assert is_installed(plan_of("bs-roformer-sw"))
    monkeypatch.setenv("STEMWRIGHT_LICENSE", "permissive")
    assert [name for name in ("fast", "scnet-large", "bs-roformer-sw") if is_installed(plan_of(name))] == [
        "fast",
        "scnet-large",
    ]


def test_an_engine_is_loaded_once() -> None:
    room = EngineCache("cpu", 1)
    model = registry.find("stemwright-12")
    assert room.engine(model) is room.engine(model)


def test_of_a_large_network_only_what_a_step_takes_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, tuple[str, ...]]] = []

    def remember(self: EngineCache, model: Any, is_cancelled: object = None) -> Any:
        asked.append((model.name, model.stems))
        return LocalWaveforms(stems=model.stems)

    monkeypatch.setattr(EngineCache, "engine", remember)
    for step in cascade().steps:
        assert step.load is not None
        step.load(lambda: False)
    assert dict(asked)["mega-53"] == ("strings", "brass", "woodwinds", "percussion", "synth")
    assert dict(asked)["bs-roformer-sw"] == ("drums", "bass", "guitar", "keyboard")
