"""Plans: which models separate a song, and in which order.

A plan (in ``plans.toml``) is a list of steps. Each separates stems from its input and leaves the exact remainder to
other steps, so the stems add up to the song for any models. Any model of the registry is also a plan of one step.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from typing import Any

from stemwright.errors import ModelUnavailableError
from stemwright.formatting import short_name
from stemwright.models import registry
from stemwright.stems import STEMS, Part

MIX = "mix"
"""Name of the input of the first step: the song."""


@dataclass(frozen=True)
class Step:
    """One step of a plan, done by one model.

    Attributes:
        input: ``mix``, or the name of an output or remainder of an earlier step.
        models: names of possible models, best first.
        gives: name of an output to the model's stems that are summed for it; if empty, outputs have the names of stems.
        remainder: name of its input less its outputs.
        if_skipped: name of its input if the step is skipped; empty if it cannot be skipped.
        name: shown to users; empty in a plan of one step.
        interchangeable: one of its published models is as good as another, so an installed one is used before one that
            would be downloaded.
    """

    input: str
    models: tuple[str, ...]
    gives: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    remainder: str = "fx"
    if_skipped: str = ""
    name: str = ""
    interchangeable: bool = False

    def outputs(self, stems: Collection[str]) -> dict[str, tuple[str, ...]]:
        """Name of an output to its stems, for a model that gives ``stems``. Its own ``fx`` is part of the remainder."""
        gives = self.gives or {stem: (stem,) for stem in STEMS if stem != self.remainder}
        found = {name: tuple(stem for stem in sources if stem in stems) for name, sources in gives.items()}
        return {name: sources for name, sources in found.items() if sources}


@dataclass(frozen=True)
class Plan:
    """Steps in order. A name that is not the input of a later step is a stem."""

    name: str
    title: str
    steps: tuple[Step, ...]

    def stems_of(self, name: str, after: int = -1) -> frozenset[str]:
        """The stems into which the steps after index ``after`` split ``name``."""
        for index, step in enumerate(self.steps[after + 1 :], after + 1):
            if step.input == name:
                given = [*(step.gives or STEMS), step.remainder]
                return frozenset().union(*(self.stems_of(one, index) for one in given))
        return frozenset({name})

    @property
    def intermediate_names(self) -> tuple[str, ...]:
        """Names that are neither the mix nor a stem: outputs that are the input of a later step."""
        return tuple(step.input for step in self.steps if step.input not in (MIX, *STEMS))

    def stem_of(self, name: str) -> str:
        """The stem that ``name`` counts as if no step splits it."""
        return min(self.stems_of(name), key=STEMS.index)

    def needed_outputs(self, index: int, parts: Sequence[Part]) -> frozenset[str]:
        """The outputs of a step that these parts keep apart from its remainder."""
        part_of = {stem: part.name for part in parts for stem in part.sources}
        step = self.steps[index]
        remainder = self.stems_of(step.remainder, index)
        return frozenset(
            name
            for name in (step.gives or STEMS)
            if name != step.remainder and len({part_of[stem] for stem in self.stems_of(name, index) | remainder}) > 1
        )

    def needed(self, parts: Sequence[Part]) -> tuple[int, ...]:
        """Indices of the steps that are needed to separate these parts."""
        part_of = {stem: part.name for part in parts for stem in part.sources}
        return tuple(
            index
            for index, step in enumerate(self.steps)
            if len({part_of[stem] for stem in self.stems_of(step.input, index - 1)}) > 1
        )


@cache
def plans() -> tuple[Plan, ...]:
    """All plans, in the order of their file."""
    text = (resources.files("stemwright.separation") / "plans.toml").read_text(encoding="utf-8")
    return tuple(
        Plan(plan["name"], plan["title"], tuple(_step(step) for step in plan["steps"]))
        for plan in tomllib.loads(text)["plans"]
    )


def plan_of(name: str) -> Plan:
    """The plan of that name, or one step by the model of that name.

    Raises:
        ModelUnavailableError: there is neither, or the model is a step before a plan.
    """
    for plan in plans():
        if plan.name == name:
            return plan
    for model in registry.models():
        if model.name == name:
            if model.removes:
                raise ModelUnavailableError(
                    f"{name} removes {model.removes} before another plan separates: give --denoise with that plan "
                    "(denoise=True in Python)."
                )
            return Plan(model.name, model.title, (Step(MIX, (model.name,)),))
    registry.check_retired(name)
    raise ModelUnavailableError(
        f"There is no plan named '{short_name(name)}'; choose one of {', '.join(plan.name for plan in plans())}, or a "
        f"model: `stemwright models` lists all{registry.similar_names(name)}."
    )


def _step(table: Mapping[str, Any]) -> Step:
    facts = dict(table)
    facts["models"] = tuple(facts["models"])
    facts["gives"] = {name: tuple(stems) for name, stems in facts.get("gives", {}).items()}
    return Step(**facts)
