"""Plans: which models separate a song."""

from __future__ import annotations

from stemwright.errors import ModelUnavailableError
from stemwright.models import registry
from stemwright.models.registry import Model

PLANS = {"fast": "stemwright-12"}
"""Plan to model. Any model of the registry is also a plan of its own."""


def model_of(plan: str) -> Model:
    """The model that a plan runs.

    Raises:
        ModelUnavailableError: there is neither a plan nor a model of that name.
    """
    names = [*PLANS, *(model.name for model in registry.models())]
    if plan not in names:
        raise ModelUnavailableError(f"There is no plan named '{plan}'; choose one of: {', '.join(names)}.")
    return registry.find(PLANS.get(plan, plan))
