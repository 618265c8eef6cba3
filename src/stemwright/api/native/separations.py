"""``/v1/separations``: creates, lists, shows, cancels and deletes separations."""

from __future__ import annotations

from typing import Annotated

import structlog
from fastapi import APIRouter, Header, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from stemwright.api.body import read_json_object
from stemwright.api.native.access import authenticate
from stemwright.api.native.request_body import NO_TRACK, read_submission
from stemwright.api.native.schemas import Separation, SeparationPage, SeparationRequest, State
from stemwright.api.native.tracks import Cursor, next_link, parse_cursor
from stemwright.api.native.views import MAX_PAGE, json_response, request_body_schema, separation_view
from stemwright.api.problems import problem_responses
from stemwright.service.errors import InvalidRequest, NotFound
from stemwright.service.ids import dashed, parse_id
from stemwright.service.service import Service
from stemwright.service.task import Task
from stemwright.service.task_list import Order, TaskQuery


def add_routes(router: APIRouter, service: Service) -> None:
    """Adds the endpoints to the router of our own API."""

    @router.post(
        "/v1/separations",
        summary="Separate a song",
        status_code=201,
        response_model=Separation,
        responses=problem_responses(400, 401, 402, 403, 409, 413, 429, 503, 507),
        openapi_extra=request_body_schema(SeparationRequest),
    )
    async def add_separation(
        request: Request,
        idempotency_key: Annotated[
            str | None, Header(description="The same key with the same body gives the same separation.")
        ] = None,
    ) -> Response:
        caller = await run_in_threadpool(authenticate, request, service, "write")
        body = await read_json_object(request)

        def submit() -> Response:
            order = read_submission(service.task_sources, service.fleet, caller.account_id, body, idempotency_key)
            try:
                task = service.tasks.submit(caller, order)
            except NotFound as error:
                raise InvalidRequest("track_id", NO_TRACK) from error
            headers = {"Location": f"/v1/separations/{dashed(task.id)}"}
            if task.request != order.request:
                headers["Idempotency-Replayed"] = "true"
            return json_response(separation_view(service, task), 201, headers)

        return await run_in_threadpool(submit)

    @router.get(
        "/v1/separations",
        summary="All separations",
        response_model=SeparationPage,
        responses=problem_responses(401, 403, 404),
    )
    def list_separations(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
        after: Cursor = None,
        state: State | None = None,
        title: Annotated[
            str | None, Query(max_length=200, description="Only songs whose title has this text; case does not count.")
        ] = None,
        order: Annotated[
            Order, Query(description="`title`: from A to Z; `longest`: the longest song first.")
        ] = "newest",
    ) -> Response:
        account_id = authenticate(request, service, "read").account_id
        wanted = TaskQuery(parse_cursor(after), limit + 1, state, title, order)
        found = service.tasks.list(account_id, wanted)
        page = SeparationPage(
            separations=[separation_view(service, task) for task in found[:limit]],
            next=dashed(found[limit - 1].id) if len(found) > limit else None,
        )
        return json_response(page, headers=next_link(request, limit, page.next))

    @router.get(
        "/v1/separations/{separation_id}",
        summary="A separation: its progress, or its stems",
        response_model=Separation,
        responses=problem_responses(401, 403, 404),
    )
    def get_separation(request: Request, separation_id: str) -> Response:
        account_id = authenticate(request, service, "read").account_id
        return json_response(separation_view(service, find_task(service, account_id, separation_id)))

    @router.post(
        "/v1/separations/{separation_id}/cancel",
        summary="Cancel a separation; no effect if it has ended",
        response_model=Separation,
        responses=problem_responses(401, 403, 404),
    )
    def cancel_separation(request: Request, separation_id: str) -> Response:
        account_id = authenticate(request, service, "write").account_id
        return json_response(separation_view(service, service.tasks.cancel(account_id, parse_id(separation_id) or "")))

    @router.delete(
        "/v1/separations/{separation_id}",
        summary="Delete a separation and its stems",
        status_code=204,
        responses=problem_responses(401, 403, 404, 409),
    )
    def delete_separation(
        request: Request,
        separation_id: str,
        with_track: Annotated[
            bool, Query(description="Also delete the song, unless another separation of it is kept.")
        ] = False,
    ) -> Response:
        account_id = authenticate(request, service, "write").account_id
        service.tasks.delete(account_id, parse_id(separation_id) or "", with_track=with_track)
        return Response(status_code=204)


def find_task(service: Service, account_id: str, separation_id: str) -> Task:
    """The task with an id from a path, with or without dashes.

    Raises:
        NotFound: the account has no such task.
    """
    task = service.tasks.get(account_id, parse_id(separation_id) or "")
    if task is None:
        raise NotFound("There is no separation with this id.")
    structlog.contextvars.bind_contextvars(task=task.id)  # for log lines of this request
    return task
