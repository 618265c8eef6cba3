"""``/v1/session``: signs a browser in and out. Programs need none of it: they send their key with each request."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from stemwright.api.body import read_json_object
from stemwright.api.native.access import PAGE_HEADER, delete_session, require_page, set_session
from stemwright.api.native.account import key_view
from stemwright.api.native.schemas import SessionRequest, SessionView, parse_request
from stemwright.api.native.views import json_response, request_body_schema, to_datetime
from stemwright.api.problems import ProblemRoute, problem_responses
from stemwright.service.errors import InvalidRequest
from stemwright.service.service import Service

_HEADER = {
    "in": "header",
    "name": PAGE_HEADER,
    "required": True,
    "description": "Any value. Pages of other sites cannot send it.",
    "schema": {"type": "string", "minLength": 1},
}


def router(service: Service) -> APIRouter:
    """The endpoints. They need no key."""
    routes = APIRouter(route_class=ProblemRoute, tags=["Stemwright"])

    @routes.post(
        "/v1/session",
        summary="Sign a browser in, with a key or a one-time link",
        description="The session is a cookie that scripts cannot read. It ends when its key is revoked.",
        status_code=201,
        response_model=SessionView,
        responses=problem_responses(400, 401, 403, 413),
        openapi_extra=request_body_schema(SessionRequest) | {"parameters": [_HEADER]},
    )
    async def sign_in(request: Request) -> Response:
        require_page(request)
        wanted = parse_request(SessionRequest, await read_json_object(request))
        if (wanted.key is None) == (wanted.link is None):
            raise InvalidRequest("key", "Send either key or link.")

        def opened() -> Response:
            if wanted.link is not None:
                session = service.sessions.redeem(wanted.link)
            else:
                session = service.sessions.open(service.keys.authenticate(wanted.key))
            caller = session.caller
            view = SessionView(
                account=caller.account_name,
                key=key_view(caller),
                expires_at=to_datetime(session.expires_at),
            )
            reply = json_response(view, 201)
            set_session(service, request, reply, session, remember=wanted.remember)
            return reply

        return await run_in_threadpool(opened)

    @routes.delete(
        "/v1/session",
        summary="Sign a browser out",
        status_code=204,
        responses=problem_responses(403),
        openapi_extra={"parameters": [_HEADER]},
    )
    def sign_out(request: Request) -> Response:
        require_page(request)
        reply = Response(status_code=204)
        delete_session(service, request, reply)
        return reply

    return routes
