"""Which model runs each step of a plan on this machine: by licence, by what is installed, and by what can run.

Only files and packages are looked at; nothing is loaded.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from stemwright.errors import ModelUnavailableError
from stemwright.models import devices, licences, registry, weight_store
from stemwright.models.licences import Policy
from stemwright.models.registry import Model
from stemwright.models.weight_download import is_offline
from stemwright.separation.plan import Plan, Step
from stemwright.stems import Selection, select


@dataclass(frozen=True)
class StepChoice:
    """The model of one step.

    Attributes:
        step: the step, which gives only what no earlier step gives.
        model: None if there is none, so that the step is skipped.
        reasons: why those before it in the step's list are not used.
    """

    step: Step
    model: Model | None
    reasons: tuple[str, ...] = ()

    @property
    def note(self) -> str:
        """What to tell the user if this is not the preferred model, with the reason for that one; else empty."""
        if not self.reasons:
            return ""
        if self.model is None:
            return f"The step '{self.step.name}' was skipped: {self.reasons[0]}"
        return f"{self.model.name} is used in place of {self.step.models[0]}: {self.reasons[0]}"


@dataclass(frozen=True)
class PlanChoice:
    """The models of all steps of a plan, for the parts of a selection.

    Attributes:
        plan: the plan, whose steps give only what no earlier step gives.
        needed: indices of the steps that the parts need.
        steps: one for each step of the plan.
    """

    plan: Plan
    needed: tuple[int, ...]
    steps: tuple[StepChoice, ...]

    @property
    def models(self) -> tuple[Model, ...]:
        """The models that the parts need, each once."""
        models = [self.steps[index].model for index in self.needed]
        return tuple({model.name: model for model in models if model is not None}.values())

    @property
    def missing(self) -> tuple[Model, ...]:
        """Those of them that are not installed."""
        return tuple(model for model in self.models if not weight_store.is_available(model))

    def memory_bytes(self, device: str) -> int:
        """Memory that its largest model takes, with its weights; 0 for a GPU, or if it is unknown."""
        on_cpu = (model for model in self.models if devices.likely_device(model, device) == "cpu")
        return max(map(devices.memory_bytes_of, on_cpu), default=0)

    @property
    def is_published(self) -> bool:
        """Whether a model that is not in the wheel takes part."""
        return any(not model.in_wheel for model in self.models)


def choose_models(plan: Plan, selection: Selection, policy: Policy, *, download: bool) -> PlanChoice:
    """Chooses for each step the first of its models that is allowed and can be had.

    A model whose runtime is not installed gives way to one that can run, unless no published model of the plan can: then
    the error about the runtime tells more than a plan of which nothing is left.

    Args:
        plan: the plan.
        selection: the parts.
        policy: which licences are allowed.
        download: whether a model may be chosen that would have to be downloaded.

    Raises:
        ModelUnavailableError: a step that cannot be skipped has no such model.
    """
    runnable = _choose_models(plan, selection, policy, download=download, only_runnable=True)
    if isinstance(runnable, PlanChoice) and (runnable.is_published or not download):
        return runnable
    found = _choose_models(plan, selection, policy, download=download, only_runnable=not download)
    if isinstance(found, PlanChoice):
        return found
    raise found


def installed_choice(plan: Plan, selection: Selection, policy: Policy) -> PlanChoice | None:
    """The models of a plan among those that are installed; None if too few are.

    Enough are installed if each step has the model that it would have with permissive licences alone, or one that the
    step prefers to it: what ``stemwright models download PLAN`` installs, with ``--license permissive`` or without.
    """
    found = _choose_models(plan, selection, policy, download=False, only_runnable=True)
    if not isinstance(found, PlanChoice):
        return None
    for index in found.needed:
        step, model = plan.steps[index], found.steps[index].model
        permissive = [name for name in step.models if licences.is_permissive(registry.find(name))]
        if permissive and (model is None or step.models.index(model.name) > step.models.index(permissive[0])):
            return None
    lists_published = any(not registry.find(name).in_wheel for i in found.needed for name in plan.steps[i].models)
    return found if found.is_published or not lists_published else None


def is_installed(plan: Plan, stems: str = "twelve") -> bool:
    """Whether enough models of a plan are installed and may be used, so that nothing is downloaded for these stems."""
    return installed_choice(plan, select(stems), licences.policy()) is not None


def _choose_models(
    plan: Plan, selection: Selection, policy: Policy, *, download: bool, only_runnable: bool
) -> PlanChoice | ModelUnavailableError:
    chosen: list[StepChoice] = []
    given: set[str] = set()
    for index, step in enumerate(plan.steps):
        wanted = plan.needed_outputs(index, selection.parts)
        choice = _choose_model(step, wanted, policy, download=download, only_runnable=only_runnable)
        if isinstance(choice, ModelUnavailableError):
            return choice
        outputs = {} if choice.model is None else step.outputs(choice.model.stems)
        if step.gives:
            left = {name: stems for name, stems in step.gives.items() if name not in given}
            choice = replace(choice, step=replace(step, gives=left))
        given |= set(outputs)
        chosen.append(choice)
    own = replace(plan, steps=tuple(choice.step for choice in chosen))
    return PlanChoice(own, own.needed(selection.parts), tuple(chosen))


def _choose_model(
    step: Step, wanted: frozenset[str], policy: Policy, *, download: bool, only_runnable: bool
) -> StepChoice | ModelUnavailableError:
    reasons: list[str] = []
    usable: list[Model] = []
    for name in step.models:
        model = registry.find(name)
        reason = obstacle(model, policy, download=download, only_runnable=only_runnable)
        if reason is not None:
            reasons.append(reason)
            continue
        usable.append(model)
        if not step.interchangeable:
            break
    if not usable:
        if not step.if_skipped:
            return ModelUnavailableError(" ".join(reasons))
        return StepChoice(step, None, tuple(reasons))
    if not step.interchangeable:
        return StepChoice(step, usable[0], tuple(reasons))
    best = min(usable, key=lambda model: _preference(step, model, wanted))  # the first of equals
    return StepChoice(step, best, tuple(reasons) if best.in_wheel else ())


def _preference(step: Step, model: Model, wanted: frozenset[str]) -> tuple[bool, bool, bool, int]:
    """Published ones first, of those the ones that give all that is wanted, of those installed ones, and of those the
    one that gives the least besides."""
    outputs = set(step.outputs(model.stems))
    is_installed = weight_store.is_available(model)
    return model.in_wheel, not wanted <= outputs, not is_installed, len(outputs - wanted) if is_installed else 0


def obstacle(model: Model, policy: Policy, *, download: bool, only_runnable: bool) -> str | None:
    """Why a model cannot be chosen; None if it can.

    Args:
        model: the model.
        policy: which licences are allowed.
        download: whether it may be downloaded.
        only_runnable: whether its runtime has to be installed.
    """
    try:
        licences.require(model, policy)
    except ModelUnavailableError as error:
        return str(error)
    if only_runnable and not devices.has_runtime(model):
        return f"{model.name} needs PyTorch: pip install 'stemwright[torch]'."
    missing = [file.name for file in model.files if not weight_store.is_available(file)]
    if not missing:
        return None
    if not download:
        return f"{model.name} is not installed; `stemwright models download {model.name}` installs it."
    if is_offline():
        return (
            f"{model.name} is not installed and STEMWRIGHT_OFFLINE is set; put {', '.join(missing)} into "
            f"{weight_store.weights_folder()}, or unset it for one download."
        )
    return None
