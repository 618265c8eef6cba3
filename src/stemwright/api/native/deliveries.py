"""``/v1/separations/{id}/deliveries``: what became of a callback, and sending it again."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from stemwright.api.authentication import caller
from stemwright.api.native import schemas
from stemwright.api.native.views import moment, reply
from stemwright.api.problems import documented
from stemwright.service.callbacks import Delivery
from stemwright.service.ids import dashed, parse_id
from stemwright.service.service import Service


def add_routes(router: APIRouter, service: Service) -> None:
    """Puts the endpoints on our own API's router."""

    @router.get(
        "/v1/separations/{separation_id}/deliveries",
        summary="All attempts to deliver the callback",
        response_model=schemas.Deliveries,
        responses=documented(401, 403, 404),
    )
    def list_deliveries(request: Request, separation_id: str) -> Response:
        account_id = caller(request, service.keys, "read").account_id
        log = service.callbacks.log(account_id, parse_id(separation_id) or "")
        return reply(schemas.Deliveries(deliveries=[_view(delivery) for delivery in log]))

    @router.post(
        "/v1/separations/{separation_id}/deliveries/replay",
        summary="Send the callback once more, now",
        status_code=202,
        response_model=schemas.Delivery,
        responses=documented(401, 403, 404, 409),
    )
    def replay(request: Request, separation_id: str) -> Response:
        account_id = caller(request, service.keys, "write").account_id
        return reply(_view(service.callbacks.replay(account_id, parse_id(separation_id) or "")), 202)


def _view(delivery: Delivery) -> schemas.Delivery:
    return schemas.Delivery(
        id=dashed(delivery.id),
        attempt=delivery.attempt,
        state=delivery.state,
        due_at=moment(delivery.due_at),
        attempted_at=None if delivery.attempted_at is None else moment(delivery.attempted_at),
        status_code=delivery.status_code,
        error=delivery.error,
    )
