"""``/v1/separations/{id}/events``: progress as server-sent events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

from fastapi import APIRouter, Header
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from stemwright.api.authentication import caller
from stemwright.api.native.separations import find_task
from stemwright.api.native.views import separation_view
from stemwright.api.problems import documented
from stemwright.service.service import Service
from stemwright.service.task import Task

LOOK_S = 0.25
"""Seconds between two looks at the task; workers note progress once a second."""

HEARTBEAT_S = 15
RETRY_MS = 2000


def add_routes(router: APIRouter, service: Service) -> None:
    """Puts the endpoint on our own API's router."""

    @router.get(
        "/v1/separations/{separation_id}/events",
        summary="Progress as server-sent events: `progress`, and `end` at last; each carries the separation",
        response_class=EventSourceResponse,
        responses={
            200: {"content": {"text/event-stream": {}}},
            204: {"description": "Nothing more will come"},
            **documented(401, 403, 404),
        },
    )
    async def follow(
        request: Request,
        separation_id: str,
        last_event_id: Annotated[
            str | None, Header(description="Of a stream that broke: what was seen stays out.")
        ] = None,
    ) -> Response:
        who = await run_in_threadpool(caller, request, service.keys, "read")
        task = await run_in_threadpool(find_task, service, who.account_id, separation_id)
        if task.has_ended and last_event_id == _mark(task):
            return Response(status_code=204)  # tells a browser's EventSource to stop coming back
        return EventSourceResponse(
            _events(service, who.account_id, task, last_event_id),
            ping=HEARTBEAT_S,
            sep="\n",
            headers={"X-Accel-Buffering": "no"},
        )


async def _events(service: Service, account_id: str, task: Task, seen: str | None) -> AsyncIterator[ServerSentEvent]:
    current: Task | None = task
    while current is not None:  # None: it was deleted
        mark = _mark(current)
        if mark != seen:
            yield ServerSentEvent(
                data=separation_view(service, current).model_dump_json(),
                event="end" if current.has_ended else "progress",
                id=mark,
                retry=RETRY_MS,
            )
            seen = mark
        if current.has_ended:
            return
        await asyncio.sleep(LOOK_S)
        current = await run_in_threadpool(service.tasks.get, account_id, task.id)


def _mark(task: Task) -> str:
    """Names what a client has seen; the same wherever the stream is taken up again."""
    return f"{task.state}-{task.stage or ''}-{task.progress:.4f}-{int(task.cancel_requested)}"
