"""``/v1/plans``: what can be named as ``plan``, what it costs in minutes on this machine, and what a better one needs."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from stemwright.api.native import schemas
from stemwright.api.native.access import authenticate
from stemwright.api.native.views import json_response
from stemwright.api.problems import problem_responses
from stemwright.cpu_memory_limits import cores
from stemwright.models import licences, registry, speed
from stemwright.models.registry import Model
from stemwright.separation.auto_choice import AUTO, TITLE, AutoChoice
from stemwright.separation.ladder import Rung
from stemwright.separation.model_choice import PlanChoice, choose_models, installed_choice
from stemwright.separation.plan import Plan, plan_of
from stemwright.separation.plan import plans as all_plans
from stemwright.service.service import Service
from stemwright.stems import STEMS, select

MODE = "twelve"


def add_routes(router: APIRouter, service: Service) -> None:
    """Adds the endpoint to the router of our own API."""

    @router.get(
        "/v1/plans",
        summary="Plans that can be chosen",
        response_model=schemas.Plans,
        responses=problem_responses(401, 403),
    )
    def plans(request: Request) -> Response:
        authenticate(request, service, "read")
        elsewhere = service.fleet.plans()
        chosen = replace(plan_of(service.fleet.resolve(AUTO, MODE)), name=AUTO, title=TITLE)
        known = [*all_plans(), *(plan_of(model.name) for model in registry.models() if not model.removes)]
        shown = [chosen, *(plan for plan in known if not elsewhere or plan.name in elsewhere)]
        minutes = _Minutes(service)
        views = [_plan_view(plan, minutes, is_elsewhere=bool(elsewhere)) for plan in shown]
        rungs = () if elsewhere else AutoChoice("auto", cores()).rungs(select(MODE))
        return json_response(
            schemas.Plans(
                plans=[view for view in views if view is not None],
                not_installed=[_missing_view(rung, minutes) for rung in rungs if rung.missing and rung.models],
            )
        )


class _Minutes:
    """Estimated minutes for a song of three minutes; None where workers run on other machines, or nothing is known."""

    def __init__(self, service: Service) -> None:
        settings = service.settings
        self._threads = settings.worker_threads or max(1, (cores() - 1) // max(1, settings.workers))
        self._known = speed.known_speed() if settings.workers else None
        self.is_bound = not speed.is_measured()

    def of(self, models: Iterable[Model]) -> float | None:
        """Minutes for models that run one after another."""
        if self._known is None:
            return None
        ratio = sum(self._known.time_ratio(model, "auto", self._threads) for model in models)
        return round(ratio * speed.SONG_S / 60, 1) if math.isfinite(ratio) else None


def _plan_view(plan: Plan, minutes: _Minutes, *, is_elsewhere: bool) -> schemas.Plan | None:
    """A plan with its models; None if they are not installed here, unless workers elsewhere have them."""
    choice: PlanChoice | None
    if is_elsewhere:
        choice = choose_models(plan, select(MODE), licences.policy(), download=True)
    else:
        choice = installed_choice(plan, select(MODE), licences.policy())
    if choice is None:
        return None
    stems = {stem for model in choice.models for stem in model.stems}
    return schemas.Plan(
        name=plan.name,
        title=plan.title,
        stems=[stem for stem in STEMS if stem in stems],
        models=[schemas.PlanModel(name=model.name, licence=model.licence) for model in choice.models],
        song_minutes=minutes.of(choice.models),
        is_bound=minutes.is_bound,
    )


def _missing_view(rung: Rung, minutes: _Minutes) -> schemas.MissingPlan:
    return schemas.MissingPlan(
        name=rung.name,
        title=rung.plan.title,
        missing=[schemas.PlanModel(name=model.name, licence=model.licence) for model in rung.missing],
        download_bytes=rung.download_bytes,
        song_minutes=minutes.of(rung.models),
        is_bound=minutes.is_bound,
        can_run=rung.can_run,
    )
