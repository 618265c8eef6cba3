from __future__ import annotations

import pytest

from stemwright.errors import ModelUnavailableError
from stemwright.separation.plan import model_of


@pytest.mark.parametrize("plan", ["fast", "stemwright-12"])
def test_a_plan_or_a_model_names_what_runs(plan: str) -> None:
    assert model_of(plan).name == "stemwright-12"


def test_an_unknown_plan_is_told_with_those_that_there_are() -> None:
    with pytest.raises(ModelUnavailableError, match="fast, stemwright-12"):
        model_of("best")
