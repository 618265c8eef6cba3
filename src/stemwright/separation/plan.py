"""Plans: which models separate a song, and in which order.

A plan is data (``plans.toml``): steps, each of which takes its part from what it hears and leaves the exact rest to the
others, so that whatever the models do the stems add up to the song. Any model of the registry is also a plan of one step.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from stemwright.errors import ModelUnavailableError
from stemwright.models import registry
from stemwright.stems import STEMS, Part

MIX = "mix"
"""What the first step hears: the song."""


@dataclass(frozen=True)
class Step:
    """One model's part of a plan.

    Attributes:
        hears: ``mix``, or a name that an earlier step gives or leaves.
        models: names of the models that can do it, the best one first.
        gives: name to those of the model's stems that it adds up; empty gives each of them its own name.
        leaves: name of what is left of what it heard.
        otherwise: name that what it would have heard goes by where the step is left out; empty if it may not be.
        name: for people; empty in a plan of one step.
    """

    hears: str
    models: tuple[str, ...]
    gives: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    leaves: str = "fx"
    otherwise: str = ""
    name: str = ""

    def outputs(self, stems: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Name to stems, of those that a model gives with these ``stems``. Its own ``fx`` is part of what it leaves."""
        gives = self.gives or {stem: (stem,) for stem in STEMS if stem != self.leaves}
        found = {name: tuple(stem for stem in sources if stem in stems) for name, sources in gives.items()}
        return {name: sources for name, sources in found.items() if sources}


@dataclass(frozen=True)
class Plan:
    """Steps in their order. Whatever no later step hears is a stem."""

    name: str
    title: str
    steps: tuple[Step, ...]

    def stems_of(self, name: str, after: int = -1) -> frozenset[str]:
        """The stems that what goes by ``name`` may end in, once the step of number ``after`` is done."""
        for place, step in enumerate(self.steps[after + 1 :], after + 1):
            if step.hears == name:
                given = [*(step.gives or STEMS), step.leaves]
                return frozenset().union(*(self.stems_of(one, place) for one in given))
        return frozenset({name})

    @property
    def interim(self) -> tuple[str, ...]:
        """Names that steps give to each other."""
        return tuple(step.hears for step in self.steps if step.hears not in (MIX, *STEMS))

    def end_of(self, name: str) -> str:
        """A stem that what goes by ``name`` counts as, where no step tells apart what it holds."""
        return min(self.stems_of(name), key=STEMS.index)

    def needed(self, parts: Sequence[Part]) -> tuple[int, ...]:
        """Numbers of the steps without which some of the parts could not be told apart."""
        homes = {stem: part.name for part in parts for stem in part.sources}
        return tuple(
            place
            for place, step in enumerate(self.steps)
            if len({homes[stem] for stem in self.stems_of(step.hears, place - 1)}) > 1
        )


@cache
def plans() -> tuple[Plan, ...]:
    """The plans that Stemwright knows, in the order of their file."""
    text = (resources.files("stemwright.separation") / "plans.toml").read_text(encoding="utf-8")
    return tuple(
        Plan(plan["name"], plan["title"], tuple(_step(step) for step in plan["steps"]))
        for plan in tomllib.loads(text)["plans"]
    )


def plan_of(name: str) -> Plan:
    """The plan of that name, or one step by the model of that name.

    Raises:
        ModelUnavailableError: there is neither.
    """
    for plan in plans():
        if plan.name == name:
            return plan
    for model in registry.models():
        if model.name == name:
            return Plan(model.name, model.title, (Step(MIX, (model.name,)),))
    names = [*(plan.name for plan in plans()), *(model.name for model in registry.models())]
    raise ModelUnavailableError(f"There is no plan named '{name}'; choose one of: {', '.join(names)}.")


def _step(table: Mapping[str, Any]) -> Step:
    facts = dict(table)
    facts["models"] = tuple(facts["models"])
    facts["gives"] = {name: tuple(stems) for name, stems in facts.get("gives", {}).items()}
    return Step(**facts)
