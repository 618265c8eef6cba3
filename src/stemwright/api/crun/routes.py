"""crun.ai's API, ``/api/v1/client/…`` (docs/contracts.md, sections 11 to 14)."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Depends
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from stemwright.api.authentication import authenticate
from stemwright.api.blocking_pool import BlockingPool
from stemwright.api.body import parse_json_object, read_body
from stemwright.api.crun import schemas, uploads
from stemwright.api.crun.envelope import CrunRoute, WrongMethod, success
from stemwright.api.crun.models import MODEL, MODEL_NAMES, describe_model, list_models
from stemwright.api.crun.records import song_record, task_record, was_made_by_crun
from stemwright.api.crun.request_body import read_mode, read_model, read_order
from stemwright.api.passthrough import Passthrough
from stemwright.prices import in_credits
from stemwright.service.credit_ledger import UNMETERED_CREDITS
from stemwright.service.errors import InvalidRequest, NotFound, SwitchedOff
from stemwright.service.ids import dashed, parse_id
from stemwright.service.service import Service
from stemwright.service.task import Task

PREFIX = "/api/v1/client"
EVERY_METHOD = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]

METHODS = {
    "/job/CreateTask": "POST",
    "/job/TaskInfo": "GET",
    "/job/Models": "GET",
    "/job/EstimateTask": "POST",
    "/job/estimate-credits": "POST",
    "/account/balance": "GET",
    "/files/upload-url": "GET",
}
"""The paths that this server answers itself. Other methods on them are not forwarded to the vendor."""

KEY_PLACES = [Depends(HTTPBearer(auto_error=False)), Depends(APIKeyHeader(name="x-api-key", auto_error=False))]
"""These only tell OpenAPI where the key goes."""


def callback_body(service: Service, task: Task) -> dict[str, Any]:
    """The body of a callback: the data of TaskInfo."""
    return task_record(service, task)


class CrunFace:
    """The handlers. What is not served here is forwarded to the vendor if the operator has a key, else the code is 505."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._vendor = Passthrough.open(service.settings, "crun")
        self._blocking_pool = BlockingPool()

    async def create_task(self, request: Request) -> Response:
        """Starts a separation. Every request creates a new task and is charged.

        `vocal` gives vocals and instrumental, `instrumental` twelve stems. Other models are forwarded to the vendor.
        """
        caller = await run_in_threadpool(authenticate, request, self._service.keys, "write")
        content = await read_body(request)
        body = parse_json_object(content)
        if (model := read_model(body)) not in MODEL_NAMES:
            return await self._forward(request, _model_phrase(model), content)

        def create() -> Task:
            service = self._service
            order = read_order(
                service.settings, service.task_sources, service.links, service.uploads, caller.account_id, body
            )
            return self._service.tasks.submit(caller, order)

        task = await self._blocking_pool.run(create)
        return success({"task_id": dashed(task.id)})

    async def task_info(self, request: Request) -> Response:
        """The state of a task, created on any of the APIs. Ids may have dashes or not."""
        caller = await run_in_threadpool(authenticate, request, self._service.keys, "read")
        asked = request.query_params.get("task_id", "").strip()
        if not asked:
            raise InvalidRequest("task_id", "task_id is required.")
        task_id = parse_id(asked)
        if task_id is not None:
            record = await run_in_threadpool(self._record, caller.account_id, task_id)
            if record is not None:
                return success(record)
        if self._vendor is not None and (task_id is None or await run_in_threadpool(self._is_unknown, task_id)):
            return await self._forward(request, "TaskInfo")
        raise NotFound("Task not found")

    async def estimate(self, request: Request) -> Response:
        """The price of a task, and whether the account has enough credits for it."""
        caller = await run_in_threadpool(authenticate, request, self._service.keys, "read")
        content = await read_body(request)
        body = parse_json_object(content)
        if (model := read_model(body)) not in MODEL_NAMES:
            return await self._forward(request, _model_phrase(model), content)
        price = self._service.settings.price(read_mode(body))
        if request.url.path.endswith("/estimate-credits"):
            return success({"credits": in_credits(price), "estimated": True})
        balance = await run_in_threadpool(self._service.ledger.balance, caller.account_id)
        return success(
            {
                "estimated_credits": in_credits(price),
                "balance": _balance_number(balance),
                "affordable": balance is None or balance >= price,
            }
        )

    async def balance(self, request: Request) -> Response:
        """The credits of the account; 1000000 if it is not metered."""
        caller = await run_in_threadpool(authenticate, request, self._service.keys, "read")
        balance = await run_in_threadpool(self._service.ledger.balance, caller.account_id)
        return success({"balance": _balance_number(balance)})

    async def models(self, request: Request) -> Response:
        """Lists models: those of the vendor if the operator has a key, else the one of this server."""
        await run_in_threadpool(authenticate, request, self._service.keys, "read")
        if self._vendor is not None:
            return await self._forward(request, "Models")
        query = request.query_params
        return success(list_models(query.get("modality"), query.get("operation")))

    async def model(self, request: Request) -> Response:
        """One model with the schema of its input."""
        await run_in_threadpool(authenticate, request, self._service.keys, "read")
        name = request.path_params["model"]
        if name in MODEL_NAMES:
            return success(describe_model(name))
        return await self._forward(request, _model_phrase(name))

    async def upload_url(self, request: Request) -> Response:
        """Returns two URLs for a new file: PUT it to `presigned_url`; `file_url` is its address.

        Use `file_url` as `input.audio_url` of a task. Requests for other types than audio and video are forwarded to the
        vendor.
        """
        caller = await run_in_threadpool(authenticate, request, self._service.keys, "write")
        if self._vendor is not None and not uploads.is_audio(request):
            return await self._forward(request, "This type of file")
        return await run_in_threadpool(uploads.create_upload_urls, self._service, caller.account_id, request)

    async def upload(self, request: Request) -> Response:
        """Uploads a file to its `presigned_url`, with the requested Content-Type and a Content-Length."""
        return await uploads.store_upload(self._service, request)

    async def catch_all(self, request: Request) -> Response:
        """Forwards the request to the vendor with the operator's key."""
        scope = "read" if request.method in ("GET", "HEAD") else "write"
        await run_in_threadpool(authenticate, request, self._service.keys, scope)
        path = request.scope["path"].removeprefix(PREFIX)
        method = "GET" if path.startswith("/job/Models/") else METHODS.get(path)
        if method is not None:
            raise WrongMethod(method)
        return await self._forward(request, f"{request.method} {request.url.path}")

    async def _forward(self, request: Request, what: str, content: bytes | None = None) -> Response:
        if self._vendor is None:
            raise SwitchedOff(f"{what} is not offered by this server, whose model is {MODEL}.")
        return await self._vendor.forward(request, content)

    def _record(self, account_id: str, task_id: str) -> dict[str, Any] | None:
        """A task or uploaded songs of the account with this id."""
        task = self._service.tasks.get(account_id, task_id)
        if task is not None:
            return task_record(self._service, task)
        tracks = self._service.tracks.of_task(account_id, task_id)
        if not tracks or (self._vendor is not None and was_made_by_crun(tracks[0])):
            return None  # the vendor's own record of its songs has more data
        return song_record(self._service, task_id, tracks)

    def _is_unknown(self, task_id: str) -> bool:
        """Whether no account has a task with this id. Ids of other accounts must not be sent to the vendor."""
        return self._service.tasks.any(task_id) is None


def router(service: Service) -> APIRouter:
    """All routes of this API; the last one is the catch-all."""
    face = CrunFace(service)
    routes = APIRouter(prefix=PREFIX, tags=["crun.ai"], route_class=CrunRoute, dependencies=KEY_PLACES)
    routes.add_api_route(
        "/job/CreateTask",
        face.create_task,
        methods=["POST"],
        responses=schemas.responses(schemas.CREATED, 400, 402, 408, 413, 422, 429, 451, 455, 505),
        openapi_extra=schemas.with_body(schemas.ORDER),
    )
    routes.add_api_route(
        "/job/TaskInfo",
        face.task_info,
        methods=["GET"],
        responses=schemas.responses(schemas.TASK, 404, 408, 422),
        openapi_extra=schemas.with_parameters(schemas.query_parameter("task_id", "Id of the task.", required=True)),
    )
    for name, data in (("EstimateTask", schemas.ESTIMATED), ("estimate-credits", schemas.ESTIMATED_CREDITS)):
        routes.add_api_route(
            f"/job/{name}",
            face.estimate,
            methods=["POST"],
            name=name,
            responses=schemas.responses(data, 400, 408, 413, 422, 505),
            openapi_extra=schemas.with_body(schemas.ESTIMATE),
        )
    routes.add_api_route(
        "/job/Models",
        face.models,
        methods=["GET"],
        responses=schemas.responses(schemas.MODELS, 408),
        openapi_extra=schemas.with_parameters(
            schemas.query_parameter("modality", "audio"), schemas.query_parameter("operation", "vocal-separation")
        ),
    )
    routes.add_api_route(
        "/job/Models/{model:path}",
        face.model,
        methods=["GET"],
        responses=schemas.responses(schemas.MODEL_ENTRY, 404, 408, 505),
        openapi_extra=schemas.with_parameters(schemas.path_parameter("model", "Name of the model, with its slash.")),
    )
    routes.add_api_route(
        "/account/balance", face.balance, methods=["GET"], responses=schemas.responses(schemas.BALANCE)
    )
    routes.add_api_route(
        "/files/upload-url",
        face.upload_url,
        methods=["GET"],
        responses=schemas.responses(schemas.UPLOAD_LINKS, 408, 422),
        openapi_extra=schemas.with_parameters(
            schemas.query_parameter(
                "content_type", "For example audio/mpeg.", required=True, pattern=uploads.AUDIO_TYPES
            ),
            schemas.query_parameter("ext", "For example .mp3.", required=True, pattern=uploads.EXTENSION),
        ),
    )
    routes.add_api_route("", face.catch_all, methods=EVERY_METHOD, include_in_schema=False)
    routes.add_api_route("/{path:path}", face.catch_all, methods=EVERY_METHOD, include_in_schema=False)

    all_routes = APIRouter(route_class=CrunRoute)
    all_routes.add_api_route(
        "/p/{link:path}",
        face.upload,
        methods=["PUT"],
        tags=["crun.ai"],
        response_class=Response,
        responses=schemas.error_responses(400, 403, 404, 410, 411, 413, 422)
        | {200: {"description": "The file is stored."}},
        openapi_extra={
            "parameters": [
                schemas.path_parameter("link", "What follows /p/ in the presigned_url.", r"^[0-9]+-[0-9a-f]{64}/.+$")
            ],
            "requestBody": {
                "description": "The file, with the Content-Type of the request for the link.",
                "required": True,
                "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
            },
        },
    )
    all_routes.add_api_route("/p", face.upload, methods=["PUT"], include_in_schema=False)
    all_routes.include_router(routes)
    return all_routes


def _balance_number(balance: int | None) -> int | float:
    return UNMETERED_CREDITS if balance is None else in_credits(balance)


def _model_phrase(model: str) -> str:
    return f"The model {model[:100]!r}"
