"""``/v1/account`` and ``/v1/credits``: who asks, what is stored, and the balance."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from stemwright.api.native import schemas
from stemwright.api.native.access import authenticate
from stemwright.api.native.request_body import KIND
from stemwright.api.native.views import json_response
from stemwright.api.problems import problem_responses
from stemwright.service.ids import dashed
from stemwright.service.keys import Caller
from stemwright.service.service import Service, public_url

MAX_DAYS = 366


def add_routes(router: APIRouter, service: Service) -> None:
    """Adds the endpoints to the router of our own API."""

    @router.get(
        "/v1/account",
        summary="The account, the key in use, and the storage used",
        response_model=schemas.Account,
        responses=problem_responses(401, 403),
    )
    def account(request: Request) -> Response:
        caller = authenticate(request, service, "read")
        usage = service.storage_quota.usage(caller.account_id)
        view = schemas.Account(
            name=caller.account_name,
            key=key_view(caller),
            storage=schemas.Storage(used_bytes=usage.used_bytes, limit_bytes=usage.limit_bytes),
            retention_days=service.settings.retention_days,
            max_upload_bytes=service.settings.max_upload_mb * 1_000_000,
            server_url=public_url(service.settings),
        )
        return json_response(view)

    @router.get(
        "/v1/credits",
        summary="Credits of the account",
        response_model=schemas.Credits,
        responses=problem_responses(401, 403),
    )
    def credits_left(request: Request) -> Response:
        balance = service.ledger.balance(authenticate(request, service, "read").account_id)
        return json_response(
            schemas.Credits(
                metered=balance is not None,
                credits=None if balance is None else balance / 100,
                price=service.settings.price(KIND) / 100,
            )
        )

    @router.get(
        "/v1/usage",
        summary="Credits, separations and minutes, day by day",
        response_model=schemas.Usage,
        responses=problem_responses(401, 403),
    )
    def usage(request: Request, days: Annotated[int, Query(ge=1, le=MAX_DAYS)] = 30) -> Response:
        used = service.usage.by_day(authenticate(request, service, "read").account_id, days)
        views = [
            schemas.DayUsage(
                day=one.day, credits=one.credits / 100, separations=one.separations, seconds=round(one.seconds, 3)
            )
            for one in used
        ]
        return json_response(schemas.Usage(days=views))


def key_view(caller: Caller) -> schemas.UsedKey:
    """The key of a request."""
    return schemas.UsedKey(
        id=dashed(caller.key_id),
        name=caller.key_name,
        hint=caller.key_hint,
        scopes=list(caller.scopes),  # type: ignore[arg-type]  # the table has no other values
    )
