"""``/v1/keys``: the keys of an account."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from stemwright.api.body import read_json_object
from stemwright.api.native import schemas
from stemwright.api.native.access import authenticate
from stemwright.api.native.views import json_response, request_body_schema, to_datetime
from stemwright.api.problems import problem_responses
from stemwright.service.ids import dashed, parse_id
from stemwright.service.keys import Key
from stemwright.service.service import Service


def add_routes(router: APIRouter, service: Service) -> None:
    """Adds the endpoints to the router of our own API."""

    @router.get(
        "/v1/keys",
        summary="Keys of the account that are in use",
        response_model=schemas.Keys,
        responses=problem_responses(401, 403),
    )
    def list_keys(request: Request) -> Response:
        caller = authenticate(request, service, "read")
        found = service.account_keys.list(caller.account_id)
        return json_response(schemas.Keys(keys=[_view(key) for key in found]))

    @router.post(
        "/v1/keys",
        summary="Create a key of the account",
        description="It has the limits of the key that creates it, and no scope that that key lacks.",
        status_code=201,
        response_model=schemas.NewKey,
        responses=problem_responses(400, 401, 403, 409, 413),
        openapi_extra=request_body_schema(schemas.KeyRequest),
    )
    async def create_key(request: Request) -> Response:
        caller = await run_in_threadpool(authenticate, request, service, "write")
        wanted = schemas.parse_request(schemas.KeyRequest, await read_json_object(request))

        def create() -> Response:
            key, secret = service.account_keys.create(caller, wanted.name, wanted.scopes)
            view = schemas.NewKey(**_view(key).model_dump(), key=secret)
            return json_response(view, 201, {"Cache-Control": "no-store"})

        return await run_in_threadpool(create)

    @router.delete(
        "/v1/keys/{key_id}",
        summary="Revoke a key, which also ends its sessions",
        status_code=204,
        responses=problem_responses(401, 403, 404),
    )
    def revoke_key(request: Request, key_id: str) -> Response:
        caller = authenticate(request, service, "write")
        service.account_keys.revoke(caller.account_id, parse_id(key_id) or "")
        return Response(status_code=204)


def _view(key: Key) -> schemas.Key:
    return schemas.Key(
        id=dashed(key.id),
        name=key.name,
        hint=key.hint,
        scopes=list(key.scopes),  # type: ignore[arg-type]  # the table has no other values
        rate_limit=key.rate_limit,
        max_running=key.max_running,
        created_at=to_datetime(key.created_at),
    )
