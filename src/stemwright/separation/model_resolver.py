"""Chooses the models that run a plan on this machine and builds the analysis pass from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from stemwright.errors import ModelUnavailableError
from stemwright.models import licences, weight_store
from stemwright.models.engine import MaskEngine, WaveformEngine
from stemwright.models.registry import Model
from stemwright.separation.analysis_pass import AnalysisPass, MaskPass
from stemwright.separation.cascade import Cascade, CascadeStep
from stemwright.separation.cleaning import cleaned, denoiser, note
from stemwright.separation.engine_cache import EngineCache
from stemwright.separation.model_choice import PlanChoice, choose_models, installed_choice
from stemwright.separation.plan import MIX, Plan, Step
from stemwright.stems import Selection, select


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
    """Chooses a model for each step of a plan, for the parts that are asked for (``model_choice``).

    Args:
        plan: the plan.
        engines: loads and keeps the engines.
        licence: ``any``, ``permissive``, or None for ``STEMWRIGHT_LICENSE``.
        download: whether weights that are not installed may be downloaded when they are needed.
        denoise: noise is removed before the plan, by a model that may be downloaded.

    Raises:
        ModelUnavailableError: a step that cannot be skipped has no such model, or a chosen model has no runtime or
            device here. Without ``download`` this shows once the parts are known.
    """

    def __init__(
        self,
        plan: Plan,
        engines: EngineCache,
        licence: str | None,
        *,
        download: bool = True,
        denoise: bool = False,
    ) -> None:
        self._plan = plan
        self._engines = engines
        self._policy = licences.policy(licence)
        self._download = download
        self._denoiser = denoiser(self._policy) if denoise else None
        if not download and len(plan.steps) > 1:
            return  # which models are needed is not known yet
        choice = self._choice(select("twelve"))
        for step in choice.steps:
            if step.model is not None:
                engines.check(step.model)
        single = choice.steps[0].model if len(choice.steps) == 1 else None
        if single is not None and weight_store.is_available(single):
            # loaded now, so that damaged weights are reported before the first song
            engines.engine(_for_step(choice.steps[0].step, single))

    def missing(self, selection: Selection) -> tuple[Model, ...]:
        """The models that a selection needs and that are not installed."""
        installed = None if self._download else installed_choice(self._plan, selection, self._policy)
        return self._cleaned(installed or choose_models(self._plan, selection, self._policy, download=True)).missing

    def analysis_pass(self, selection: Selection) -> AnalysisPass:
        """A mask pass for a plan of one mask engine, otherwise a cascade."""
        choice = self._choice(selection)
        for model in choice.models:
            self._engines.check(model)
        first = choice.steps[0].model
        if first is not None and len(choice.steps) == 1 and first.kind == "mask":
            engine = self._engines.engine(first)
            assert isinstance(engine, MaskEngine)
            return MaskPass(engine, selection)
        plan = choice.plan
        steps = _merged([_ResolvedStep(index, plan.steps[index], choice.steps[index].model) for index in choice.needed])
        notes = tuple(choice.steps[index].note for index in choice.needed if choice.steps[index].note)
        if self._denoiser is not None:
            notes = (note(selection), *notes)
        stem_of_name = {name: plan.stem_of(name) for name in plan.intermediate_names}
        return Cascade(
            [self._cascade_step(step, selection) for step in steps],
            selection,
            self._engines.scan_presence,
            notes,
            stem_of_name,
        )

    def _choice(self, selection: Selection) -> PlanChoice:
        if self._download:
            return self._cleaned(choose_models(self._plan, selection, self._policy, download=True))
        choice = installed_choice(self._plan, selection, self._policy)
        if choice is None:
            raise ModelUnavailableError(
                f"The weights of '{self._plan.name}' are not installed; `stemwright models download {self._plan.name}` "
                "installs them."
            )
        return self._cleaned(choice)

    def _cleaned(self, choice: PlanChoice) -> PlanChoice:
        return choice if self._denoiser is None else cleaned(choice, self._denoiser)

    def _cascade_step(self, resolved: _ResolvedStep, selection: Selection) -> CascadeStep:
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
            load=None
            if model is None
            else partial(self._engines.waveform_engine, _for_step(step, model), selection.playing),
            on_timed=None if model is None else partial(self._engines.record_time_ratio, model),
        )


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
