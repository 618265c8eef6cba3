"""``/v1/operator``: the whole server, for keys with the scope ``operator``."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

import stemwright
from stemwright.api.body import read_json_object
from stemwright.api.native import operator_schemas as schemas
from stemwright.api.native.access import authenticate
from stemwright.api.native.schemas import Failure, State, parse_request
from stemwright.api.native.tracks import Cursor, next_link, parse_cursor
from stemwright.api.native.views import MAX_PAGE, json_response, request_body_schema, to_datetime, to_optional_datetime
from stemwright.api.problems import problem_responses
from stemwright.service.ids import dashed
from stemwright.service.operations import Work
from stemwright.service.service import Service
from stemwright.service.task import Task
from stemwright.service.visible_settings import visible_settings

SCOPE = "operator"
MAX_HOURS = 24 * 31
MAX_STEPS = 100


def add_routes(router: APIRouter, service: Service, n_workers_ready: Callable[[], int] | None) -> None:
    """Adds the endpoints to the router of our own API.

    Args:
        router: of our own API.
        service: is shown.
        n_workers_ready: how many of this server's own workers are ready; None if it has none.
    """

    @router.get(
        "/v1/operator",
        summary="The server at a glance: queue, workers, storage",
        response_model=schemas.Overview,
        responses=problem_responses(401, 403),
    )
    def overview(request: Request) -> Response:
        authenticate(request, service, SCOPE)
        totals, settings = service.operations.totals(), service.settings
        view = schemas.Overview(
            version=stemwright.__version__,
            maintenance=service.operations.is_under_maintenance(),
            waiting=totals.tasks.get("pending", 0),
            running=totals.tasks.get("running", 0),
            tasks=schemas.Counts(**{state: totals.tasks.get(state, 0) for state in schemas.Counts.model_fields}),
            workers=schemas.Workers(
                ready=None if n_workers_ready is None else n_workers_ready(),
                configured=settings.workers,
            ),
            storage=schemas.ServerStorage(
                stored_bytes=totals.stored_bytes, free_bytes=shutil.disk_usage(settings.data).free
            ),
            accounts=totals.accounts,
            tracks=totals.tracks,
        )
        return json_response(view)

    @router.get(
        "/v1/operator/tasks",
        summary="Tasks of all accounts and APIs, newest first",
        response_model=schemas.OperatorTaskPage,
        responses=problem_responses(401, 403, 404),
    )
    def tasks(
        request: Request,
        limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20,
        after: Cursor = None,
        state: State | None = None,
    ) -> Response:
        authenticate(request, service, SCOPE)
        found = service.operations.tasks(state=state, after=parse_cursor(after), limit=limit + 1)
        page = schemas.OperatorTaskPage(
            tasks=[_task_view(task, account) for task, account in found[:limit]],
            next=dashed(found[limit - 1][0].id) if len(found) > limit else None,
        )
        return json_response(page, headers=next_link(request, limit, page.next))

    @router.get(
        "/v1/operator/throughput",
        summary="What was finished, step by step, and how fast",
        response_model=schemas.Throughput,
        responses=problem_responses(401, 403),
    )
    def throughput(
        request: Request,
        hours: Annotated[int, Query(ge=1, le=MAX_HOURS)] = 24,
        step_hours: Annotated[int, Query(ge=1, le=MAX_HOURS)] = 1,
    ) -> Response:
        authenticate(request, service, SCOPE)
        step = max(step_hours, -(-hours // MAX_STEPS))
        steps = [_step_view(work) for work in service.operations.throughput(hours, step)]
        return json_response(schemas.Throughput(step_hours=step, steps=steps))

    @router.put(
        "/v1/operator/maintenance",
        summary="Refuse new tasks, or accept them again",
        response_model=schemas.Maintenance,
        responses=problem_responses(400, 401, 403, 413),
        openapi_extra=request_body_schema(schemas.MaintenanceRequest),
    )
    async def maintenance(request: Request) -> Response:
        await run_in_threadpool(authenticate, request, service, SCOPE)
        wanted = parse_request(schemas.MaintenanceRequest, await read_json_object(request))
        await run_in_threadpool(lambda: service.operations.set_maintenance(on=wanted.on))
        return json_response(schemas.Maintenance(on=wanted.on))

    @router.get(
        "/v1/operator/settings",
        summary="Settings of the server, without secrets",
        response_model=schemas.Settings,
        responses=problem_responses(401, 403),
    )
    def settings(request: Request) -> Response:
        authenticate(request, service, SCOPE)
        views = [
            schemas.Setting(
                variable=one.variable, value=one.value, is_default=one.is_default, description=one.description
            )
            for one in visible_settings(service.settings)
        ]
        return json_response(schemas.Settings(settings=views))


def _task_view(task: Task, account: str) -> schemas.OperatorTask:
    failed = task.state == "failed"
    return schemas.OperatorTask(
        id=dashed(task.id),
        account=account,
        api=task.face,
        kind=task.kind,
        state=task.state,
        stage=task.stage,
        progress=task.progress,
        title=task.title,
        plan=task.plan,
        seconds=task.seconds,
        error=Failure(code=task.error_code or 500, message=task.error_message or "") if failed else None,
        created_at=to_datetime(task.created_at),
        started_at=to_optional_datetime(task.started_at),
        ended_at=to_optional_datetime(task.ended_at),
    )


def _step_view(work: Work) -> schemas.ThroughputStep:
    return schemas.ThroughputStep(
        begins_at=to_datetime(work.begins_at),
        succeeded=work.succeeded,
        failed=work.failed,
        song_seconds=round(work.song_s, 3),
        work_seconds=round(work.work_s, 3),
        real_time_factor=round(work.song_s / work.work_s, 2) if work.work_s > 0 else None,
    )
