"""``/v1/separations/{id}/events``: progress as server-sent events."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Annotated

from fastapi import APIRouter, Header
from sse_starlette import EventSourceResponse
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from stemwright.api.native.access import authenticate
from stemwright.api.native.event_streams import EventStreams, TaskEvent, task_event
from stemwright.api.native.separations import find_task
from stemwright.api.problems import problem_responses
from stemwright.service.keys import Caller
from stemwright.service.service import Service

HEARTBEAT_INTERVAL_S = 15


def add_routes(router: APIRouter, service: Service, streams: EventStreams) -> None:
    """Adds the endpoint to the router of our own API."""

    @router.get(
        "/v1/separations/{separation_id}/events",
        summary="Progress as server-sent events: `progress`, then `end`; each has the separation as data",
        response_class=EventSourceResponse,
        responses={
            200: {"content": {"text/event-stream": {}}},
            204: {"description": "The client has seen the last event"},
            **problem_responses(401, 403, 404, 429, 503),
        },
    )
    async def follow(
        request: Request,
        separation_id: str,
        last_event_id: Annotated[
            str | None, Header(description="Id of the last event that was received; it is not sent again.")
        ] = None,
    ) -> Response:
        def find() -> tuple[Caller, str, TaskEvent]:
            caller = authenticate(request, service, "read")
            task = find_task(service, caller.account_id, separation_id)
            return caller, task.id, task_event(service, task)

        caller, task_id, event = await run_in_threadpool(find)
        if event.has_ended and last_event_id == event.mark:
            return Response(status_code=204)  # a browser's EventSource stops reconnecting after 204
        stream = streams.open(caller, task_id, event)
        return _EventStreamResponse(streams.events(stream, last_event_id), lambda: streams.close(stream))


class _EventStreamResponse(EventSourceResponse):
    """The response with the stream. The stream is closed in every case, even if the client read nothing."""

    def __init__(self, events: AsyncIterator[bytes], close: Callable[[], None]) -> None:
        super().__init__(events, ping=HEARTBEAT_INTERVAL_S, sep="\n", headers={"X-Accel-Buffering": "no"})
        self._close = close

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Sends the events."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._close()
