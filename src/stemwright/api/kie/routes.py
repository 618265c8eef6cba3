"""kie.ai's API, ``/api/v1/…`` (docs/contracts.md, sections 1 to 9)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from stemwright.api.authentication import authenticate
from stemwright.api.body import parse_json_object, read_body
from stemwright.api.kie import schemas
from stemwright.api.kie.envelope import Envelope, WrongMethod
from stemwright.api.kie.fields import optional_text, required_query
from stemwright.api.kie.market_jobs import is_job, job_callback_body
from stemwright.api.kie.market_routes import JobFace
from stemwright.api.kie.records import callback_body as separation_callback_body
from stemwright.api.kie.records import song_record, task_record, was_made_by_kie
from stemwright.api.kie.request_body import OrderReader
from stemwright.api.kie.task_endpoints import TaskEndpoints
from stemwright.api.kie.wav_records import wav_callback_body
from stemwright.api.kie.wav_routes import WavFace
from stemwright.api.local_links import find_local_file
from stemwright.api.passthrough import Passthrough
from stemwright.prices import in_credits
from stemwright.service.credit_ledger import UNMETERED_CREDITS
from stemwright.service.errors import InvalidRequest, NotFound
from stemwright.service.ids import parse_id
from stemwright.service.service import Service
from stemwright.service.task import Task

EVERY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "QUERY"]

DOWNLOAD_LINK_S = 20 * 60.0
"""Seconds that a link from ``common/download-url`` is valid."""

METHODS = {
    "/api/v1/vocal-removal/generate": "POST",
    "/api/v1/vocal-removal/record-info": "GET",
    "/api/v1/wav/generate": "POST",
    "/api/v1/wav/record-info": "GET",
    "/api/v1/jobs/createTask": "POST",
    "/api/v1/jobs/recordInfo": "GET",
    "/api/v1/generate/record-info": "GET",
    "/api/v1/chat/credit": "GET",
    "/api/v1/generate/credit": "GET",
    "/api/v1/common/download-url": "POST",
    "/api/file-base64-upload": "POST",
    "/api/file-url-upload": "POST",
    "/api/file-stream-upload": "POST",
}
"""The paths that this server answers itself; all others are forwarded to the vendor."""


def callback_body(service: Service, task: Task) -> dict[str, Any]:
    """The callback body of a task of this API, in the form of the route on which it was created."""
    if is_job(task):
        return job_callback_body(service, task)
    return wav_callback_body(service, task) if task.is_wav else separation_callback_body(service, task)


class KieFace:
    """The handlers. What is not served here is forwarded to the vendor if the operator has a key, else the code is 404."""

    def __init__(self, service: Service, envelope: Envelope, vendor: Passthrough | None, tasks: TaskEndpoints) -> None:
        self._service = service
        self._envelope = envelope
        self._vendor = vendor
        self._tasks = tasks
        self._reader = OrderReader(service.settings, service.task_sources)

    async def generate(self, request: Request) -> Response:
        """Starts a separation. Every request creates a new task and is charged.

        Send the song as `taskId` and `audioId`, or as `audioUrl`. `separate_vocal` gives vocals and instrumental,
        `split_stem` twelve stems, `split_stem_advanced` the one stem of `stemName`, and the song without it.
        """
        return await self._tasks.create(request, self._reader.separation)

    async def record_info(self, request: Request) -> Response:
        """The state of a separation, created on any of the APIs; `data` is null if the id is unknown."""
        return await self._tasks.record(request, self._record, forwards=False)

    async def generated(self, request: Request) -> Response:
        """The songs of a task: uploaded songs in the form of generated ones; other ids are forwarded to the vendor."""

        def read() -> tuple[dict[str, Any] | None, bool]:
            account_id = authenticate(request, self._service.keys, "read").account_id
            task_id = parse_id(required_query(request, "taskId"))
            return self._songs(account_id, task_id) if task_id is not None else (None, False)

        songs, is_ours = await run_in_threadpool(read)
        if songs is None and not is_ours and self._vendor is not None:
            return await self._vendor.forward(request)
        return self._envelope.success(songs)

    async def credit(self, request: Request) -> Response:
        """The credits of the account; 1000000 if it is not metered."""

        def read() -> int | None:
            return self._service.ledger.balance(authenticate(request, self._service.keys, "read").account_id)

        balance = await run_in_threadpool(read)
        return self._envelope.success(UNMETERED_CREDITS if balance is None else in_credits(balance))

    async def download_url(self, request: Request) -> Response:
        """A link to a file of this server, valid for 20 minutes or until the file expires."""
        caller = await run_in_threadpool(authenticate, request, self._service.keys, "read")
        content = await read_body(request)
        url = optional_text(parse_json_object(content), "url")
        if url is None:
            raise InvalidRequest("url", "url cannot be blank")
        found = await run_in_threadpool(self._temporary_link, caller.account_id, url)
        if found is not None:
            return self._envelope.success(found)
        if self._vendor is not None and self._service.links.resolve(url) is None:
            return await self._vendor.forward(request, content)
        raise InvalidRequest("url", "url is wrong")

    async def catch_all(self, request: Request) -> Response:
        """Forwards the request to the vendor with the operator's key."""
        scope = "read" if request.method in ("GET", "HEAD", "OPTIONS") else "write"
        await run_in_threadpool(authenticate, request, self._service.keys, scope)
        path = request.url.path
        if path in METHODS:
            raise WrongMethod(f"{path} takes {METHODS[path]}, not {request.method}.")
        if self._vendor is None:
            raise NotFound(f"{path} is not offered by this server.")
        return await self._vendor.forward(request)

    def _record(self, task: Task) -> dict[str, Any] | None:
        return None if task.is_wav else task_record(self._service, task)

    def _songs(self, account_id: str, task_id: str) -> tuple[dict[str, Any] | None, bool]:
        """The songs of a task, if this server answers for them; and whether the id is ours, so that it is not forwarded."""
        tracks = self._service.tracks.of_task(account_id, task_id)
        if tracks and (self._vendor is None or not was_made_by_kie(tracks[0])):
            return song_record(self._service, task_id, tracks), True
        # The vendor's own record of its songs has more data.
        return None, not tracks and self._service.tasks.any(task_id) is not None

    def _temporary_link(self, account_id: str, url: str) -> str | None:
        link = self._service.links.resolve(url)
        if find_local_file(self._service, account_id, link) is None:
            return None
        return self._service.links.temporary(url, DOWNLOAD_LINK_S)


def router(service: Service) -> APIRouter:
    """All routes of this API; the last one is the catch-all."""
    envelope = Envelope(service.settings)
    vendor = Passthrough.open(service.settings, "kie")
    tasks = TaskEndpoints(service, envelope, vendor)
    face = KieFace(service, envelope, vendor, tasks)
    wav, jobs = WavFace(service, tasks), JobFace(service, tasks)
    mirrors = service.settings.mirror_status
    routes = APIRouter(tags=["kie.ai"], route_class=envelope.route_class())
    generate, download = schemas.body(schemas.GENERATE_BODY), schemas.body(schemas.DOWNLOAD_BODY)
    to_wav, job = schemas.body(schemas.WAV_BODY), schemas.body(schemas.JOB_BODY)
    for path, handler, summary, data, extra in (
        ("vocal-removal/generate", face.generate, "Separate a song", schemas.TASK_ID, schemas.with_body(generate)),
        ("vocal-removal/record-info", face.record_info, "A separation", schemas.RECORD, schemas.with_query("taskId")),
        ("wav/generate", wav.generate, "Convert a song or a stem to WAV", schemas.TASK_ID, schemas.with_body(to_wav)),
        ("wav/record-info", wav.record_info, "A conversion to WAV", schemas.WAV_RECORD, schemas.with_query("taskId")),
        ("jobs/createTask", jobs.create, "Start a task by its model", schemas.TASK_ID, schemas.with_body(job)),
        ("jobs/recordInfo", jobs.record_info, "A task", schemas.JOB_RECORD, schemas.with_query("taskId")),
        ("generate/record-info", face.generated, "Songs of a task", schemas.SONGS, schemas.with_query("taskId")),
        ("chat/credit", face.credit, "Credits of the account", schemas.CREDITS, schemas.with_query()),
        ("generate/credit", face.credit, "Credits of the account", schemas.CREDITS, schemas.with_query()),
        ("common/download-url", face.download_url, "A link for 20 minutes", schemas.URL, schemas.with_body(download)),
    ):
        routes.add_api_route(
            f"/api/v1/{path}",
            handler,
            methods=[METHODS[f"/api/v1/{path}"]],
            summary=summary,
            responses=schemas.responses(data, mirrors),
            openapi_extra=extra,
        )
    routes.add_api_route("/api", face.catch_all, methods=EVERY_METHOD, include_in_schema=False)
    routes.add_api_route("/api/{path:path}", face.catch_all, methods=EVERY_METHOD, include_in_schema=False)
    return routes
