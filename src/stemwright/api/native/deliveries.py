"""``/v1/separations/{id}/deliveries``: the log of a callback, and sending it again."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from stemwright.api.native import schemas
from stemwright.api.native.access import authenticate
from stemwright.api.native.views import json_response, to_datetime
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
