"""The ensemble: which models play a plan on this machine, loaded when they are first needed and kept for the next song."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

from stemwright.errors import ModelUnavailableError
from stemwright.models import licences, registry, weights
from stemwright.models.downloads import is_offline
from stemwright.models.engine import MaskEngine, WaveformEngine
from stemwright.models.engines import check_runtime, load_engine
from stemwright.models.licences import Policy
from stemwright.models.registry import Model
from stemwright.separation.cascade import Cascade, CascadeStep
from stemwright.separation.mask_to_waveform_engine import MaskedWaveforms
from stemwright.separation.options import Device
from stemwright.separation.plan import MIX, Plan, Step
from stemwright.separation.presence_scan import Survey, survey
from stemwright.separation.progress import IsCancelled
from stemwright.separation.separation_run import FirstPass, MaskPass
from stemwright.separation.source import Source
from stemwright.stems import Selection

SURVEYOR = "stemwright-12"
"""The model that listens first, to tell which steps may be left out."""


class Ensemble(Protocol):
    """What gives the first pass of a song."""

    def first_pass(self, selection: Selection) -> FirstPass:
        """The pass that tells the parts of a selection apart."""

    def missing(self, selection: Selection) -> tuple[Model, ...]:
        """The models that it takes for that and that are not installed."""


@dataclass(frozen=True)
class SingleEnsemble:
    """One engine, whatever it is."""

    engine: MaskEngine | WaveformEngine

    def missing(self, selection: Selection) -> tuple[Model, ...]:
        """None: it is here."""
        return ()

    def first_pass(self, selection: Selection) -> FirstPass:
        """One mask engine, or a cascade of one step."""
        engine = self.engine
        if isinstance(engine, MaskEngine):
            return MaskPass(engine, selection)
        step = Step(MIX, (engine.name,))
        return Cascade(
            [
                CascadeStep(
                    name="1",
                    model=engine.name,
                    hears=step.hears,
                    outputs=step.outputs(engine.stems),
                    leaves=step.leaves,
                    otherwise="",
                    sample_rate=engine.sample_rate,
                    cost=1.0,
                    load=lambda is_cancelled: engine,
                )
            ],
            selection,
        )


class EngineRoom:
    """Loads engines, and keeps them: one load serves many songs."""

    def __init__(self, device: Device, threads: int) -> None:
        self._device = device
        self._threads = threads
        self._engines: dict[tuple[str, tuple[str, ...]], MaskEngine | WaveformEngine] = {}

    def check(self, model: Model) -> None:
        """Raises ModelUnavailableError where a model could not run, also once its weights were here."""
        check_runtime(model, self._device)

    def engine(self, model: Model, is_cancelled: IsCancelled | None = None) -> MaskEngine | WaveformEngine:
        """The engine of a model; its weights are downloaded if they are missing."""
        return self._engine(model, self._device, is_cancelled)

    def waveform_engine(self, model: Model, is_cancelled: IsCancelled) -> WaveformEngine:
        """The same for a step of a cascade."""
        engine = self.engine(model, is_cancelled) if model.kind == "waveform" else self._beside(model, is_cancelled)
        return MaskedWaveforms(engine) if isinstance(engine, MaskEngine) else engine

    def surveyor(self, source: Source, is_cancelled: IsCancelled) -> Survey:
        """Finds out which stems play in a song."""
        engine = self._beside(registry.find(SURVEYOR), is_cancelled)
        assert isinstance(engine, MaskEngine)
        return survey(source, engine, is_cancelled)

    def _beside(self, model: Model, is_cancelled: IsCancelled) -> MaskEngine | WaveformEngine:
        """The small one beside large ones: a GPU that was asked for is for those, and its runtime may know of none."""
        return self._engine(model, "auto", is_cancelled)

    def _engine(self, model: Model, device: Device, is_cancelled: IsCancelled | None) -> MaskEngine | WaveformEngine:
        key = model.name, model.stems
        if key not in self._engines:
            self._engines[key] = load_engine(model, device=device, threads=self._threads, is_cancelled=is_cancelled)
        return self._engines[key]


class PlannedEnsemble:
    """The models that play a plan: for each step the first that may and can be used.

    Raises:
        ModelUnavailableError: a step that cannot be left out has no model that can be had, or one that takes part has no
            runtime or device here.
    """

    def __init__(self, plan: Plan, room: EngineRoom, licence: str | None) -> None:
        policy = licences.policy(licence)
        self._plan = plan
        self._room = room
        self._notes: dict[int, str] = {}
        self._cast = [self._choose(place, policy) for place in range(len(plan.steps))]
        for model in self._cast:
            if model is not None:
                room.check(model)
        alone = self._cast[0] if len(plan.steps) == 1 else None
        if alone is not None and weights.is_available(alone):
            # what is wrong with it is told now, not with the first song
            room.engine(_for_step(plan.steps[0], alone))

    def missing(self, selection: Selection) -> tuple[Model, ...]:
        """The models of the steps that a selection needs, as far as they are not installed."""
        cast = [self._cast[place] for place in self._plan.needed(selection.parts)]
        needed = {model.name: model for model in cast if model is not None}
        return tuple(model for model in needed.values() if not weights.is_available(model))

    def first_pass(self, selection: Selection) -> FirstPass:
        """A mask engine that is alone gives masks; all else is a cascade."""
        (first, *others) = self._cast
        if first is not None and not others and first.kind == "mask":
            engine = self._room.engine(first)
            assert isinstance(engine, MaskEngine)
            return MaskPass(engine, selection)
        needed = self._plan.needed(selection.parts)
        tasks = _joined([_Task(place, self._plan.steps[place], self._cast[place]) for place in needed])
        notes = tuple(self._notes[place] for place in needed if place in self._notes)
        ends = {name: self._plan.end_of(name) for name in self._plan.interim}
        return Cascade([self._step(task) for task in tasks], selection, self._room.surveyor, notes, ends)

    def _step(self, task: _Task) -> CascadeStep:
        step, model = task.step, task.model
        outputs = {} if model is None else step.outputs(model.stems)
        return CascadeStep(
            name=f"{task.place + 1} {step.name}".strip(),
            model="" if model is None else model.identity,
            hears=step.hears,
            outputs=outputs,
            leaves=step.leaves,
            otherwise=step.otherwise,
            sample_rate=0 if model is None else model.sample_rate_hz,
            cost=0.0 if model is None else max(1.0, model.gflop_per_s),
            load=None if model is None else partial(self._room.waveform_engine, _for_step(step, model)),
        )

    def _choose(self, place: int, policy: Policy) -> Model | None:
        step = self._plan.steps[place]
        reasons = []
        for name in step.models:
            model = registry.find(name)
            try:
                _require(model, policy)
            except ModelUnavailableError as error:
                reasons.append(str(error))
                continue
            if reasons:
                self._notes[place] = f"{model.name} stands in for {step.models[0]}: {' '.join(reasons)}"
            return model
        if not step.otherwise:
            raise ModelUnavailableError(" ".join(reasons))
        self._notes[place] = f"The step '{step.name}' was left out: {' '.join(reasons)}"
        return None


@dataclass(frozen=True)
class _Task:
    """A step of a plan, by its number, and who does it."""

    place: int
    step: Step
    model: Model | None


def _joined(tasks: Sequence[_Task]) -> list[_Task]:
    """The same with one task for those that follow each other with the same model, which then hears the song once."""
    found: list[_Task] = []
    for task in tasks:
        last = found[-1] if found else None
        if last and _same(last.model, task.model) and task.step.hears == last.step.leaves:
            step = replace(
                last.step,
                name=f"{last.step.name}, {task.step.name}",
                gives={**last.step.gives, **task.step.gives},
                leaves=task.step.leaves,
                otherwise=task.step.otherwise if last.step.otherwise else "",
            )
            found[-1] = replace(last, step=step)
        else:
            found.append(task)
    return found


def _for_step(step: Step, model: Model) -> Model:
    """The model with those of its stems that a step takes; those of a mask engine share what there is, so it has all."""
    if model.kind == "mask":
        return model
    return model.restricted([stem for sources in step.outputs(model.stems).values() for stem in sources])


def _same(one: Model | None, other: Model | None) -> bool:
    return one is not None and other is not None and one.name == other.name


def is_installed(plan: Plan) -> bool:
    """Whether the best model for each step is there and may be used: nothing is downloaded, and nothing stands in for it."""
    best = [registry.find(step.models[0]) for step in plan.steps]
    allowed = licences.policy() == "any" or all(map(licences.is_permissive, best))
    return allowed and all(map(weights.is_available, best))


def _require(model: Model, policy: Policy) -> None:
    """Raises ModelUnavailableError where a model may not be used, or cannot be had."""
    licences.require(model, policy)
    missing = [file.name for file in model.files if not weights.is_available(file)]
    if missing and is_offline():
        raise ModelUnavailableError(
            f"{model.name} is not installed and STEMWRIGHT_OFFLINE is set; put {', '.join(missing)} into "
            f"{weights.weights_folder()}, or let it be downloaded once."
        )
