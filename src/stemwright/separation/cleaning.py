"""A step before a plan that removes noise from the song.

    mix --[denoiser]--+-> noise = fx
                      +-> clean --[the plan]--> its stems

The plan takes the clean song in place of the mix. What was removed counts as ``fx``, in which sounds belong that no other
stem claims, so the stems still add up to the song: in two stems it is in ``instrumental``, in a list without ``fx`` in
``residual`` (docs/decisions/0012-denoise.md).
"""

from __future__ import annotations

from dataclasses import replace

from stemwright.errors import ModelUnavailableError
from stemwright.models import registry
from stemwright.models.licences import Policy
from stemwright.models.registry import Model
from stemwright.separation.model_choice import PlanChoice, StepChoice, obstacle
from stemwright.separation.plan import MIX, Step
from stemwright.stems import Selection

NOISE = "noise"
"""``Model.removes`` of the models that may be the step."""

CLEAN = "clean"
"""Name of the song without noise."""


def denoiser(policy: Policy) -> Model:
    """The model that removes noise: the first of the registry that can be used.

    Raises:
        ModelUnavailableError: there is none; the error says why not the first.
    """
    reasons = []
    for model in registry.models():
        if model.removes == NOISE:
            reason = obstacle(model, policy, download=True, only_runnable=True)
            if reason is None:
                return model
            reasons.append(reason)
    raise ModelUnavailableError(f"Noise cannot be removed here: {reasons[0]}")


def cleaned(choice: PlanChoice, model: Model) -> PlanChoice:
    """A plan with its models, after a step by ``model`` that gives the noise as ``fx``."""
    first = StepChoice(Step(MIX, (model.name,), {"fx": ("fx",)}, CLEAN, name=NOISE), model)
    others = (
        replace(one, step=replace(one.step, input=CLEAN)) if one.step.input == MIX else one for one in choice.steps
    )
    steps = (first, *others)
    plan = replace(choice.plan, steps=tuple(one.step for one in steps))
    return PlanChoice(plan, (0, *(index + 1 for index in choice.needed)), steps)


def note(selection: Selection) -> str:
    """A remark for the user: which part has the noise."""
    part = next(part.name for part in selection.parts if "fx" in part.sources)
    return f"Noise was removed first; it is in '{part}'."
