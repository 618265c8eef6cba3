from __future__ import annotations

from pathlib import Path

import pytest

from stemwright.errors import ModelUnavailableError
from stemwright.models.licences import Policy
from stemwright.separation.model_choice import PlanChoice, choose_models, installed_choice
from stemwright.separation.plan import Plan, plan_of
from stemwright.stems import select
from tests.separation.installed import install, own_machine


@pytest.fixture(autouse=True)
def models(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return own_machine(tmp_path, monkeypatch)


def names(choice: PlanChoice | None) -> list[str] | None:
    return None if choice is None else [model.name for model in choice.models]


def here(plan: str, stems: str = "twelve", policy: Policy = "any") -> list[str] | None:
    return names(installed_choice(plan_of(plan), select(stems), policy))


def choose(plan: str, stems: str = "twelve", policy: Policy = "any") -> PlanChoice:
    return choose_models(plan_of(plan), select(stems), policy, download=True)


def test_with_nothing_installed_only_the_wheel_is_here() -> None:
    assert here("fast") == ["stemwright-12"]
    assert here("good") is here("best") is here("htdemucs") is None


@pytest.mark.parametrize(
    ("installed", "stems", "expected"),
    [
        (["mel-band-roformer-kim"], "two", ["mel-band-roformer-kim"]),
        (["mel-band-roformer-kim"], "twelve", None),
        (
            ["mel-band-roformer-kim", "scnet-large"],
            "twelve",
            ["mel-band-roformer-kim", "scnet-large", "stemwright-12"],
        ),
        (
            ["mel-band-roformer-kim", "bs-roformer-sw"],
            "twelve",
            ["mel-band-roformer-kim", "bs-roformer-sw", "stemwright-12"],
        ),
        (["bs-roformer-viperx-1297", "bs-roformer-sw"], "two", None),
    ],
)
def test_the_best_plan_is_here_once_its_permissive_models_are_or_those_before_them(
    installed: list[str], stems: str, expected: list[str] | None, models: Path
) -> None:
    install(models, *installed)
    assert here("best", stems) == expected


def test_what_the_licence_setting_forbids_is_not_here(models: Path) -> None:
    install(models, "htdemucs-6s", "mel-band-roformer-kim", "bs-roformer-sw")
    assert here("good") is not None
    assert here("good", policy="permissive") is None
    assert here("best", policy="permissive") is None


def test_what_cannot_run_is_not_here(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(models, "htdemucs-6s", "scnet-large")
    monkeypatch.setattr("stemwright.models.devices.has_torch", lambda: False)
    assert here("scnet-large") is None
    assert here("htdemucs-6s") == ["htdemucs-6s"], "ONNX Runtime runs it"
    monkeypatch.undo()


def test_of_interchangeable_models_the_installed_one_is_taken(models: Path) -> None:
    step = plan_of("good").steps[0]
    assert step.interchangeable
    first = choose("good", "two").models[0].name
    assert first == step.models[0]
    install(models, "htdemucs")
    assert names(choose("good", "two")) == ["htdemucs"]
    assert here("good", "two") == ["htdemucs"]


def test_a_model_that_gives_all_that_is_asked_for_comes_before_one_that_does_not(models: Path) -> None:
    install(models, "htdemucs")
    assert choose("good", "twelve").models[0].name == plan_of("good").steps[0].models[0]
    assert here("good", "twelve") == ["htdemucs", "stemwright-12"], "without a download the rest is the wheel's"
    install(models, "htdemucs-6s")
    assert here("good", "twelve") == ["htdemucs-6s", "stemwright-12"]
    assert here("good", "two") == here("good", "drums,bass") == ["htdemucs"]
    assert here("good", "guitar") == ["htdemucs-6s"]


def test_what_one_step_gives_no_later_step_gives_again(models: Path) -> None:
    install(models, "htdemucs-6s")
    choice = installed_choice(plan_of("good"), select("twelve"), "any")
    assert choice is not None
    assert {"guitar", "keyboard"}.isdisjoint(choice.steps[2].step.gives)
    (models / "htdemucs-6s").unlink(missing_ok=True)
    for file in choice.models[0].files:
        (models / file.name).unlink()
    install(models, "htdemucs")
    four = installed_choice(plan_of("good"), select("twelve"), "any")
    assert four is not None
    assert {"guitar", "keyboard"} <= set(four.steps[2].step.gives)


def test_where_no_published_model_is_allowed_the_wheel_stands_in_and_it_is_said() -> None:
    choice = choose("good", policy="permissive")
    assert names(choice) == ["stemwright-12"]
    assert not choice.is_published
    assert "permissive" in choice.steps[0].note


def test_a_plan_of_one_model_has_no_stand_in(models: Path) -> None:
    with pytest.raises(ModelUnavailableError, match="permissive"):
        choose("htdemucs", policy="permissive")
    assert names(choose("scnet-large")) == ["scnet-large"]
    install(models, "scnet-large")
    assert here("scnet-large", policy="permissive") == ["scnet-large"]


@pytest.mark.parametrize("plan", ["fast", "good", "best"])
@pytest.mark.parametrize("stems", ["two", "twelve", "drums", "guitar,keyboard", "vocals,backing_vocals", "fx"])
def test_what_is_downloaded_is_then_here(plan: str, stems: str, models: Path) -> None:
    """Whatever a plan downloads is enough to have it without a download."""
    chosen = choose(plan, stems)
    install(models, *(model.name for model in chosen.missing))
    assert here(plan, stems) == names(chosen)


def test_what_a_setting_downloads_is_here_without_the_setting(models: Path) -> None:
    chosen = choose("best", policy="permissive")
    install(models, *(model.name for model in chosen.missing))
    assert here("best") == here("best", policy="permissive") == names(chosen)


def test_the_choice_has_a_plan_that_ends_in_all_stems() -> None:
    plan: Plan = choose("good").plan
    assert plan.stems_of("mix") == plan_of("good").stems_of("mix")
