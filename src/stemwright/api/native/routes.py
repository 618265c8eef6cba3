"""Our own API, ``/v1``: all functions of Stemwright, with typed errors."""

from __future__ import annotations

from collections.abc import Callable
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
    plans,
    previews,
    renderings,
    schemas,
    separations,
    spectrograms,
    stem_file,
    tracks,
    zip,
)
from stemwright.api.native.event_streams import EventStreams
from stemwright.api.native.views import separation_view, to_datetime
from stemwright.api.problems import Problem, ProblemRoute
from stemwright.service.errors import NotFound
from stemwright.service.service import Service
from stemwright.service.task import Task

EVERY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]


def router(service: Service, streams: EventStreams, n_workers_ready: Callable[[], int] | None = None) -> APIRouter:
    """All endpoints of our own API."""
    native = APIRouter(
        route_class=ProblemRoute,
        tags=["Stemwright"],
        dependencies=key_schemes(),
        responses={500: {"model": Problem, "description": "The server failed"}},
    )
    files = (zip, daw_set, stem_file, previews, spectrograms, mixdown, renderings)
    for part in (account, keys, tracks, separations, *files, deliveries):
        part.add_routes(native, service)
    events.add_routes(native, service, streams)
    operator.add_routes(native, service, n_workers_ready)
    operator_models.add_routes(native, service)
    plans.add_routes(native, service)
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
