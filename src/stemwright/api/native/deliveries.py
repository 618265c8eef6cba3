"""``/v1/deliveries`` and ``/v1/separations/{id}/deliveries``: the log of callbacks, and sending one again."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from stemwright.api.native import schemas
from stemwright.api.native.access import authenticate
from stemwright.api.native.tracks import Cursor, next_link, parse_cursor
from stemwright.api.native.views import MAX_PAGE, json_response, to_datetime
from stemwright.api.problems import problem_responses
from stemwright.service.callbacks import Delivery
from stemwright.service.ids import dashed, parse_id
from stemwright.service.service import Service


def add_routes(router: APIRouter, service: Service) -> None:
    """Adds the endpoints to the router of our own API."""

    @router.get(
        "/v1/separations/{separation_id}/deliveries",
        summary="All attempts to deliver the callback",
        response_model=schemas.Deliveries,
        responses=problem_responses(401, 403, 404),
    )
    def list_deliveries(request: Request, separation_id: str) -> Response:
        account_id = authenticate(request, service, "read").account_id
        log = service.callbacks.log(account_id, parse_id(separation_id) or "")
        return json_response(schemas.Deliveries(deliveries=[_view(delivery) for delivery in log]))

    @router.post(
        "/v1/separations/{separation_id}/deliveries/replay",
        summary="Send the callback once more, now",
        status_code=202,
        response_model=schemas.Delivery,
        responses=problem_responses(401, 403, 404, 409),
    )
    def replay(request: Request, separation_id: str) -> Response:
        account_id = authenticate(request, service, "write").account_id
        return json_response(_view(service.callbacks.replay(account_id, parse_id(separation_id) or "")), 202)

    @router.get(
        "/v1/deliveries",
        summary="Attempts to deliver callbacks of all separations",
        response_model=schemas.DeliveryPage,
        responses=problem_responses(401, 403, 404),
    )
    def list_all(
        request: Request, limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20, after: Cursor = None
    ) -> Response:
        account_id = authenticate(request, service, "read").account_id
        found = service.callbacks.recent(account_id, after=parse_cursor(after), limit=limit + 1)
        page = schemas.DeliveryPage(
            deliveries=[
                schemas.AccountDelivery(
                    **_view(delivery).model_dump(), separation_id=dashed(delivery.task_id), callback_url=url
                )
                for delivery, url in found[:limit]
            ],
            next=dashed(found[limit - 1][0].id) if len(found) > limit else None,
        )
        return json_response(page, headers=next_link(request, limit, page.next))


def _view(delivery: Delivery) -> schemas.Delivery:
    return schemas.Delivery(
        id=dashed(delivery.id),
        attempt=delivery.attempt,
        state=delivery.state,
        due_at=to_datetime(delivery.due_at),
        attempted_at=None if delivery.attempted_at is None else to_datetime(delivery.attempted_at),
        status_code=delivery.status_code,
        error=delivery.error,
    )
