"""``/v1/separations/{id}/rendering``: the stems at another speed and in another key, made by the server."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import Response

from stemwright.api.native.access import authenticate
from stemwright.api.native.separations import find_task
from stemwright.api.native.views import json_response, to_datetime
from stemwright.api.problems import problem_responses
from stemwright.service.rendering import Rendering
from stemwright.service.service import Service
from stemwright.speed_and_key import SEMITONES, SPEEDS, SpeedAndKey


class RenderingView(BaseModel):
    """The stems of a separation at another speed or in another key, or how far they are."""

    speed: float = Field(description="0.5 is half as fast; the pitch stays.")
    semitones: float = Field(description="The transposition; the speed stays.")
    state: Literal["running", "succeeded", "failed"]
    progress: float = Field(ge=0, le=1)
    sample_rate: int
    samples: int = Field(description="Length of each stem: that of the song by the speed, rounded.")
    size_bytes: int = Field(description="Of its files, which count in the quota; 0 until they are there.")
    error: str | None = Field(description="Why it failed; null unless it did.")
    created_at: datetime


class Renderings(BaseModel):
    """All renderings of a separation, oldest first."""

    renderings: list[RenderingView]


def read_speed_and_key(
    speed: Annotated[
        float, Query(ge=SPEEDS[0], le=SPEEDS[1], description="0.5 is half as fast; the pitch stays. In thousandths.")
    ] = 1.0,
    semitones: Annotated[
        float, Query(ge=SEMITONES[0], le=SEMITONES[1], description="Transposes; the speed stays. In hundredths.")
    ] = 0.0,
) -> SpeedAndKey:
    """The speed and the key that a query asks for; without them, the song's own."""
    return SpeedAndKey(speed, semitones)


Wanted = Annotated[SpeedAndKey, Depends(read_speed_and_key)]


def add_routes(router: APIRouter, service: Service) -> None:
    """Adds the endpoints to the router of our own API."""

    @router.put(
        "/v1/separations/{separation_id}/rendering",
        summary="Make the stems at another speed or in another key; no effect if they are there or being made",
        response_model=RenderingView,
        responses={
            200: {"description": "It is there"},
            202: {"description": "It is being made", "model": RenderingView},
            **problem_responses(401, 403, 404, 409, 413, 429, 507),
        },
    )
    def start(request: Request, separation_id: str, wanted: Wanted) -> Response:
        account_id = authenticate(request, service, "write").account_id
        rendering = service.renderings.start(find_task(service, account_id, separation_id), wanted)
        return json_response(_view(rendering), 200 if rendering.state == "succeeded" else 202)

    @router.get(
        "/v1/separations/{separation_id}/rendering",
        summary="How far a rendering is",
        response_model=RenderingView,
        responses=problem_responses(401, 403, 404),
    )
    def get(request: Request, separation_id: str, wanted: Wanted) -> Response:
        account_id = authenticate(request, service, "read").account_id
        task = find_task(service, account_id, separation_id)
        return json_response(_view(service.renderings.get(task, wanted)))

    @router.delete(
        "/v1/separations/{separation_id}/rendering",
        summary="Delete a rendering, or stop it",
        status_code=204,
        responses=problem_responses(401, 403, 404),
    )
    def delete(request: Request, separation_id: str, wanted: Wanted) -> Response:
        account_id = authenticate(request, service, "write").account_id
        service.renderings.delete(find_task(service, account_id, separation_id), wanted)
        return Response(status_code=204)

    @router.get(
        "/v1/separations/{separation_id}/renderings",
        summary="All renderings of a separation",
        response_model=Renderings,
        responses=problem_responses(401, 403, 404),
    )
    def list_renderings(request: Request, separation_id: str) -> Response:
        account_id = authenticate(request, service, "read").account_id
        found = service.renderings.list(find_task(service, account_id, separation_id))
        return json_response(Renderings(renderings=[_view(rendering) for rendering in found]))


def _view(rendering: Rendering) -> RenderingView:
    return RenderingView(
        speed=rendering.wanted.speed,
        semitones=rendering.wanted.semitones,
        state=rendering.state,
        progress=rendering.progress,
        sample_rate=rendering.sample_rate,
        samples=rendering.samples,
        size_bytes=rendering.size_bytes,
        error=rendering.error,
        created_at=to_datetime(rendering.created_at),
    )
