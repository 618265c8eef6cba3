"""``/v1/separations/{id}/mixdown``: the stems as one file, mixed as the faders say, written while it is sent."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from stemwright.api.native.previews import succeeded_task
from stemwright.api.native.renderings import Wanted
from stemwright.api.native.zip import attachment, title_of
from stemwright.api.problems import problem_responses
from stemwright.service.errors import InvalidRequest
from stemwright.service.service import Service
from stemwright.service.task import Task

if TYPE_CHECKING:
    from stemwright.service.mixdown import Fader

MAX_GAIN = 4.0
MAX_FADERS = 32

_FADER = "name:gain or name:gain:pan, such as `vocals:0` or `drums:1.2:-0.5`; stems that are not named are at unity."


def add_routes(router: APIRouter, service: Service) -> None:
    """Adds the endpoint to the router of our own API."""

    @router.get(
        "/v1/separations/{separation_id}/mixdown",
        summary="The stems mixed to one WAV file of 32-bit floats",
        response_class=StreamingResponse,
        responses={200: {"content": {"audio/wav": {}}}, **problem_responses(401, 403, 404, 409)},
    )
    def download(
        request: Request,
        separation_id: str,
        wanted: Wanted,
        stem: Annotated[list[str], Query(description=_FADER, max_length=MAX_FADERS)] = [],  # noqa: B006
        master: Annotated[float, Query(ge=0, le=MAX_GAIN, description="Factor for all.")] = 1.0,
    ) -> Response:
        from stemwright.service.mixdown import mix_down  # NumPy: 40 MB that few servers need

        task = succeeded_task(service, request, separation_id, wanted)
        faders = dict(_read_fader(text) for text in stem)
        mixdown = mix_down(task, faders, master, service.copies, service.previews)
        headers = {
            "Content-Length": str(mixdown.size_bytes),
            "Content-Disposition": attachment(f"{title_of(service, task)} {_part(task, faders)}.wav"),
        }
        return StreamingResponse(mixdown.content, media_type="audio/wav", headers=headers)


def _part(task: Task, faders: dict[str, Fader]) -> str:
    """What is in the file: the stem that is heard alone, or a mix."""
    heard = [stem.name for stem in task.stems if stem.name not in faders or faders[stem.name].gain > 0]
    return heard[0] if len(heard) == 1 else "mix"


def _read_fader(text: str) -> tuple[str, Fader]:
    from stemwright.service.mixdown import Fader

    name, *numbers = text.split(":")
    try:
        gain, pan = [*map(float, numbers), 0.0][:2] if len(numbers) in (1, 2) else [math.nan, 0.0]
    except ValueError:
        gain = pan = math.nan
    if not (0 <= gain <= MAX_GAIN and -1 <= pan <= 1):
        raise InvalidRequest(
            "stem", f"Write name:gain or name:gain:pan, with a gain from 0 to {MAX_GAIN:g} and a pan from -1 to 1."
        )
    return name, Fader(gain, pan)
