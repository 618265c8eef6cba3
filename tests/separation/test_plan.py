from __future__ import annotations

import pytest

from stemwright.errors import ModelUnavailableError
from stemwright.models import registry
from stemwright.separation.plan import MIX, Plan, Step, plan_of, plans
from stemwright.stems import STEMS, select

BEST = plan_of("best")


@pytest.mark.parametrize("plan", ["fast", "stemwright-12"])
def test_a_plan_or_a_model_names_what_runs(plan: str) -> None:
    assert [step.models for step in plan_of(plan).steps] == [("stemwright-12",)]


def test_an_unknown_plan_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ModelUnavailableError, match=r"choose one of fast, .*best, or a model"):
        plan_of("finest")


@pytest.mark.parametrize("plan", plans(), ids=lambda plan: plan.name)
def test_a_plan_ends_in_the_twelve_stems_and_knows_its_models(plan: Plan) -> None:
    assert plan.stems_of(MIX) == set(STEMS)
    for step in plan.steps:
        for name in step.models:
            model = registry.find(name)
            assert step.outputs(model.stems), f"{name} gives nothing that the step {step.name} wants"


@pytest.mark.parametrize("plan", plans(), ids=lambda plan: plan.name)
def test_no_name_is_heard_twice_and_each_counts_as_a_stem_that_it_holds(plan: Plan) -> None:
    inputs = [step.input for step in plan.steps]
    assert len(set(inputs)) == len(inputs)
    for name in plan.intermediate_names:
        assert plan.stem_of(name) in plan.stems_of(name)


@pytest.mark.parametrize(
    ("stems", "names"),
    [
        ("two", ["vocals"]),
        ("vocals,backing_vocals", ["vocals", "lead and backing"]),
        ("drums", ["vocals", "drums and bass"]),
        ("strings", ["vocals", "drums and bass", "guitar and keyboard", "colours"]),
        ("twelve", ["vocals", "lead and backing", "drums and bass", "guitar and keyboard", "colours"]),
    ],
)
def test_only_the_steps_that_tell_the_parts_apart_are_needed(stems: str, names: list[str]) -> None:
    assert [BEST.steps[place].name for place in BEST.needed(select(stems).parts)] == names


def test_a_step_gives_what_its_model_has() -> None:
    step = Step(MIX, ("m",), {"singing": ("vocals", "backing_vocals"), "drums": ("drums",)}, "band")
    assert step.outputs(("vocals", "bass")) == {"singing": ("vocals",)}
    assert Step(MIX, ("m",)).outputs(("bass", "fx")) == {"bass": ("bass",)}


def test_a_long_unknown_name_is_cut_in_the_error() -> None:
    with pytest.raises(ModelUnavailableError) as error:
        plan_of("x" * 10_000)
    assert f"'{'x' * 24}...'" in str(error.value) and len(str(error.value)) < 500
