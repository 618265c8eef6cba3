"""Endpoints for operators: liveness, readiness and metrics."""

from __future__ import annotations

from collections.abc import Callable

import sqlalchemy
from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from stemwright.api.authentication import authenticate, key_schemes
from stemwright.api.problems import ProblemRoute, problem_responses
from stemwright.api.service_metrics import ServiceMetrics
from stemwright.errors import StorageError
from stemwright.service.public_access import is_private
from stemwright.service.readiness import OK, check_database, check_storage
from stemwright.service.service import Service

NO_WORKER = "none is ready: after a start a worker loads its model first. If this stays, the log says why workers end."
NO_KEY = "none is in use: run `stemwright keys create NAME --data DIR` on the server."


class Alive(BaseModel):
    """The server answers."""

    status: str = "alive"


class Readiness(BaseModel):
    """Whether the server can process tasks. Each check is ``ok``, or says what is missing and what to do."""

    status: str
    database: str
    storage: str
    workers: str
    keys: str | None = Field(None, description="Only where no key is in use.")


def router(
    service: Service,
    registry: CollectorRegistry,
    n_workers_ready: Callable[[], int] | None,
    *,
    is_worker: bool = False,
) -> APIRouter:
    """``/livez`` and ``/readyz``, which need no key, and ``/metrics``, which may need one (``Settings.metrics``).

    Args:
        service: is checked.
        registry: has the other metrics.
        n_workers_ready: how many of this server's own workers are ready; None if it has none.
        is_worker: this is no API server: it needs no API key to work, and other machines read its metrics.
    """
    operations = APIRouter(tags=["Operations"], route_class=ProblemRoute)
    ProcessCollector(registry=registry)
    registry.register(ServiceMetrics(service, n_workers_ready))

    @operations.get("/livez", summary="Whether the server answers", response_model=Alive)
    async def livez() -> Response:
        return JSONResponse(Alive().model_dump())

    @operations.get(
        "/readyz",
        summary="Whether the server can work",
        response_model=Readiness,
        responses={503: {"model": Readiness, "description": "It cannot"}},
    )
    def readyz() -> Response:
        database, storage = check_database(service), check_storage(service)
        keys = None if is_worker else _check_keys(service)
        workers = OK if n_workers_ready is None or n_workers_ready() else NO_WORKER
        ready = database == storage == workers == OK and keys is None
        status = "ready" if ready else "not ready"
        view = Readiness(status=status, database=database, storage=storage, workers=workers, keys=keys)
        return JSONResponse(view.model_dump(exclude_none=True), status_code=200 if ready else 503)

    # Load balancers and monitors ask with HEAD.
    operations.add_api_route("/livez", livez, methods=["HEAD"], include_in_schema=False)
    operations.add_api_route("/readyz", readyz, methods=["HEAD"], include_in_schema=False)

    access = service.settings.metrics or ("open" if is_private(service.settings) and not is_worker else "key")
    if access != "off":

        @operations.get(
            "/metrics",
            summary="Figures for Prometheus",
            response_class=Response,
            responses=problem_responses(401, 403) if access == "key" else None,
            dependencies=key_schemes() if access == "key" else None,
        )
        def metrics(request: Request) -> Response:
            if access == "key":
                authenticate(request, service.keys, "read")
            return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return operations


def _check_keys(service: Service) -> str | None:
    try:
        return None if service.keys.any() else NO_KEY
    except (sqlalchemy.exc.SQLAlchemyError, StorageError):
        return None  # the check of the database reports that
