"""Our own API, ``/v1``: all functions of Stemwright, with typed errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match

from stemwright.api.authentication import key_schemes
from stemwright.api.native import (
    account,
    daw_set,
    deliveries,
    events,
    keys,
    mixdown,
    operator,
    operator_models,
    previews,
    schemas,
    separations,
    spectrograms,
    stem_file,
    tracks,
    zip,
)
from stemwright.api.native.access import authenticate
from stemwright.api.native.event_streams import EventStreams
from stemwright.api.native.views import json_response, separation_view, to_datetime
from stemwright.api.problems import Problem, ProblemRoute, problem_responses
from stemwright.models import licences, registry
from stemwright.separation.auto_choice import AUTO, TITLE, resolved
from stemwright.separation.model_choice import installed_choice
from stemwright.separation.plan import Plan, plan_of
from stemwright.separation.plan import plans as all_plans
from stemwright.service.errors import NotFound
from stemwright.service.service import Service
from stemwright.service.task import Task
from stemwright.stems import STEMS, select

EVERY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def router(service: Service, streams: EventStreams, n_workers_ready: Callable[[], int] | None = None) -> APIRouter:
    """All endpoints of our own API."""
    native = APIRouter(
        route_class=ProblemRoute,
        tags=["Stemwright"],
        dependencies=key_schemes(),
        responses={500: {"model": Problem, "description": "The server failed"}},
    )
    files = (zip, daw_set, stem_file, previews, spectrograms, mixdown)
    for part in (account, keys, tracks, separations, *files, deliveries):
        part.add_routes(native, service)
    events.add_routes(native, service, streams)
    operator.add_routes(native, service, n_workers_ready)
    operator_models.add_routes(native, service)
    _add_plans(native, service)
    _add_catch_all(native)
    return native


def callback_body(service: Service, task: Task) -> dict[str, Any]:
    """What is posted to ``callback_url`` when a separation has ended."""
    event = schemas.Event(
        type=f"separation.{task.state}",  # type: ignore[arg-type]  # only for ended tasks
        timestamp=to_datetime(task.ended_at or service.clock()),
        data=separation_view(service, task),
    )
    return event.model_dump(mode="json")


def _add_plans(native: APIRouter, service: Service) -> None:
    @native.get(
        "/v1/plans",
        summary="Plans that can be chosen",
        response_model=schemas.Plans,
        responses=problem_responses(401, 403),
    )
    def plans(request: Request) -> Response:
        authenticate(request, service, "read")
        chosen = replace(plan_of(resolved(AUTO, "twelve")), name=AUTO, title=TITLE)
        known = [chosen, *all_plans(), *(plan_of(model.name) for model in registry.models() if not model.removes)]
        views = [_plan_view(plan) for plan in known]
        return json_response(schemas.Plans(plans=[view for view in views if view is not None]))


def _plan_view(plan: Plan) -> schemas.Plan | None:
    """A plan with the models that it has here; None if they are not installed."""
    choice = installed_choice(plan, select("twelve"), licences.policy())
    if choice is None:
        return None
    stems = {stem for model in choice.models for stem in model.stems}
    return schemas.Plan(
        name=plan.name,
        title=plan.title,
        stems=[stem for stem in STEMS if stem in stems],
        models=[schemas.PlanModel(name=model.name, licence=model.licence) for model in choice.models],
    )


def _add_catch_all(native: APIRouter) -> None:
    """Adds the catch-all route, so that unknown paths and methods are answered with a problem too."""
    endpoints = list(native.routes)

    @native.api_route("/v1", methods=EVERY_METHOD, include_in_schema=False)
    @native.api_route("/v1/{path:path}", methods=EVERY_METHOD, include_in_schema=False)
    def catch_all(request: Request) -> Response:
        allowed: set[str] = set()
        for endpoint in endpoints:
            if endpoint.matches(request.scope)[0] is not Match.NONE:
                allowed |= getattr(endpoint, "methods", None) or set()
        if allowed:
            methods = ", ".join(sorted(allowed))
            raise HTTPException(
                405, f"{request.method} is not allowed on this path; use {methods}.", {"Allow": methods}
            )
        raise NotFound("This path does not exist; /docs lists all paths.")
