"""Chooses the models that run a plan on this machine and builds the analysis pass from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from stemwright.errors import ModelUnavailableError
from stemwright.models import licences, registry, weight_store
from stemwright.models.engine import MaskEngine, WaveformEngine
from stemwright.models.licences import Policy
from stemwright.models.registry import Model
from stemwright.models.weight_download import is_offline
from stemwright.separation.analysis_pass import AnalysisPass, MaskPass
from stemwright.separation.cascade import Cascade, CascadeStep
from stemwright.separation.engine_cache import EngineCache
from stemwright.separation.plan import MIX, Plan, Step
from stemwright.stems import Selection


class ModelResolver(Protocol):
    """Creates the analysis pass for the requested parts."""

    def analysis_pass(self, selection: Selection) -> AnalysisPass:
        """The pass that separates the parts of a selection."""

    def missing(self, selection: Selection) -> tuple[Model, ...]:
        """The models of this pass that are not installed."""


@dataclass(frozen=True)
class SingleEngine:
    """A resolver for a single given engine of either kind."""

    engine: MaskEngine | WaveformEngine

    def missing(self, selection: Selection) -> tuple[Model, ...]:
        """Empty: the engine is given."""
        return ()

    def analysis_pass(self, selection: Selection) -> AnalysisPass:
        """A mask pass, or a cascade of one step."""
        engine = self.engine
        if isinstance(engine, MaskEngine):
            return MaskPass(engine, selection)
        step = Step(MIX, (engine.name,))
        return Cascade(
            [
                CascadeStep(
                    name="1",
                    model=engine.name,
                    input=step.input,
                    outputs=step.outputs(engine.stems),
                    remainder=step.remainder,
                    if_skipped="",
                    sample_rate=engine.sample_rate,
                    cost=1.0,
                    load=lambda is_cancelled: engine,
                )
            ],
            selection,
        )


class PlanResolver:
    """Chooses for each step of a plan the first of its models that is allowed and available.

    Raises:
        ModelUnavailableError: a step that cannot be skipped has no such model, or a chosen model has no runtime or
            device here.
    """

    def __init__(self, plan: Plan, engines: EngineCache, licence: str | None) -> None:
        policy = licences.policy(licence)
        self._plan = plan
        self._engines = engines
        self._notes: dict[int, str] = {}
        self._models = [self._choose(index, policy) for index in range(len(plan.steps))]
        for model in self._models:
            if model is not None:
                engines.check(model)
        single = self._models[0] if len(plan.steps) == 1 else None
        if single is not None and weight_store.is_available(single):
            # loaded now, so that damaged weights are reported before the first song
            engines.engine(_for_step(plan.steps[0], single))

    def missing(self, selection: Selection) -> tuple[Model, ...]:
        """The models that a selection needs and that are not installed."""
        models = [self._models[index] for index in self._plan.needed(selection.parts)]
        needed = {model.name: model for model in models if model is not None}
        return tuple(model for model in needed.values() if not weight_store.is_available(model))

    def analysis_pass(self, selection: Selection) -> AnalysisPass:
        """A mask pass for a plan of one mask engine, otherwise a cascade."""
        (first, *others) = self._models
        if first is not None and not others and first.kind == "mask":
            engine = self._engines.engine(first)
            assert isinstance(engine, MaskEngine)
            return MaskPass(engine, selection)
        needed = self._plan.needed(selection.parts)
        steps = _merged([_ResolvedStep(index, self._plan.steps[index], self._models[index]) for index in needed])
        notes = tuple(self._notes[index] for index in needed if index in self._notes)
        stem_of_name = {name: self._plan.stem_of(name) for name in self._plan.intermediate_names}
        return Cascade(
            [self._cascade_step(step) for step in steps], selection, self._engines.scan_presence, notes, stem_of_name
        )

    def _cascade_step(self, resolved: _ResolvedStep) -> CascadeStep:
        step, model = resolved.step, resolved.model
        outputs = {} if model is None else step.outputs(model.stems)
        return CascadeStep(
            name=f"{resolved.index + 1} {step.name}".strip(),
            model="" if model is None else model.identity,
            input=step.input,
            outputs=outputs,
            remainder=step.remainder,
            if_skipped=step.if_skipped,
            sample_rate=0 if model is None else model.sample_rate_hz,
            cost=0.0 if model is None else max(1.0, model.gflop_per_s),
            load=None if model is None else partial(self._engines.waveform_engine, _for_step(step, model)),
        )

    def _choose(self, index: int, policy: Policy) -> Model | None:
        step = self._plan.steps[index]
        reasons = []
        for name in step.models:
            model = registry.find(name)
            try:
                _require(model, policy)
            except ModelUnavailableError as error:
                reasons.append(str(error))
                continue
            if reasons:
                self._notes[index] = f"{model.name} is used in place of {step.models[0]}: {' '.join(reasons)}"
            return model
        if not step.if_skipped:
            raise ModelUnavailableError(" ".join(reasons))
        self._notes[index] = f"The step '{step.name}' was skipped: {' '.join(reasons)}"
        return None


@dataclass(frozen=True)
class _ResolvedStep:
    """A step of a plan with its index and its model."""

    index: int
    step: Step
    model: Model | None


def _merged(steps: Sequence[_ResolvedStep]) -> list[_ResolvedStep]:
    """Merges consecutive steps with the same model, so it runs over the song only once."""
    merged: list[_ResolvedStep] = []
    for resolved in steps:
        last = merged[-1] if merged else None
        if last and _same(last.model, resolved.model) and resolved.step.input == last.step.remainder:
            step = replace(
                last.step,
                name=f"{last.step.name}, {resolved.step.name}",
                gives={**last.step.gives, **resolved.step.gives},
                remainder=resolved.step.remainder,
                if_skipped=resolved.step.if_skipped if last.step.if_skipped else "",
            )
            merged[-1] = replace(last, step=step)
        else:
            merged.append(resolved)
    return merged


def _for_step(step: Step, model: Model) -> Model:
    """The model restricted to the stems of a step. A mask engine keeps all stems, over which its masks sum to one."""
    if model.kind == "mask":
        return model
    return model.restricted([stem for sources in step.outputs(model.stems).values() for stem in sources])


def _same(one: Model | None, other: Model | None) -> bool:
    return one is not None and other is not None and one.name == other.name


def is_installed(plan: Plan) -> bool:
    """Whether the first model of every step is installed and may be used, so that nothing is downloaded or replaced."""
    best = [registry.find(step.models[0]) for step in plan.steps]
    allowed = licences.policy() == "any" or all(map(licences.is_permissive, best))
    return allowed and all(map(weight_store.is_available, best))


def _require(model: Model, policy: Policy) -> None:
    """Raises ModelUnavailableError if a model is not allowed or not available."""
    licences.require(model, policy)
    missing = [file.name for file in model.files if not weight_store.is_available(file)]
    if missing and is_offline():
        raise ModelUnavailableError(
            f"{model.name} is not installed and STEMWRIGHT_OFFLINE is set; put {', '.join(missing)} into "
            f"{weight_store.weights_folder()}, or allow one download."
        )
