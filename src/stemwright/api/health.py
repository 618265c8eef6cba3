"""Endpoints for operators: liveness, readiness and metrics."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator

import sqlalchemy
import structlog
from fastapi import APIRouter
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

import stemwright
from stemwright.api.authentication import authenticate, key_schemes
from stemwright.api.problems import ProblemRoute, problem_responses
from stemwright.errors import StorageError
from stemwright.service.public_access import is_private
from stemwright.service.service import Service

STATES = ("pending", "running", "succeeded", "failed", "cancelled")

NO_DATABASE = (
    "does not answer: check that its disk has free space and that the server may write there; "
    "the log says what is wrong. If the file is damaged, restore a backup."
)
NO_STORAGE = (
    "cannot be written: free some space, or let the server write to its data folder or bucket; "
    "the log says what is wrong."
)
NO_WORKER = "none is ready: after a start a worker loads its model first. If this stays, the log says why workers end."
NO_KEY = "none is in use: run `stemwright keys create NAME --data DIR` on the server."

log = structlog.get_logger(__name__)


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


def router(service: Service, registry: CollectorRegistry, n_workers_ready: Callable[[], int] | None) -> APIRouter:
    """``/livez`` and ``/readyz``, which need no key, and ``/metrics``, which may need one (``Settings.metrics``).

    Args:
        service: is checked.
        registry: has the other metrics.
        n_workers_ready: how many of this server's own workers are ready; None if it has none.
    """
    operations = APIRouter(tags=["Operations"], route_class=ProblemRoute)
    ProcessCollector(registry=registry)
    registry.register(ServiceMetrics(service))

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
        database, storage, keys = _check_database(service), _check_storage(service), _check_keys(service)
        workers = "ok" if n_workers_ready is None or n_workers_ready() else NO_WORKER
        ready = database == storage == workers == "ok" and keys is None
        status = "ready" if ready else "not ready"
        view = Readiness(status=status, database=database, storage=storage, workers=workers, keys=keys)
        return JSONResponse(view.model_dump(exclude_none=True), status_code=200 if ready else 503)

    # Load balancers and monitors ask with HEAD.
    operations.add_api_route("/livez", livez, methods=["HEAD"], include_in_schema=False)
    operations.add_api_route("/readyz", readyz, methods=["HEAD"], include_in_schema=False)

    access = service.settings.metrics or ("open" if is_private(service.settings) else "key")
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


class ServiceMetrics(Collector):
    """Metrics that are read from the service at each scrape."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def describe(self) -> Iterator[Metric]:
        """Empty, so that registering reads nothing from the service."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """The current values."""
        info = GaugeMetricFamily("stemwright_info", "The release that runs.", labels=["version"])
        info.add_metric([stemwright.__version__], 1)
        yield info
        counts = self._service.tasks.counts()
        tasks = GaugeMetricFamily("stemwright_tasks", "Tasks that are kept, by state.", labels=["state"])
        for state in STATES:
            tasks.add_metric([state], counts.get(state, 0))
        yield tasks
        yield GaugeMetricFamily(
            "stemwright_queue_depth", "Tasks that no worker has taken.", value=self._service.queue.depth()
        )
        disk = shutil.disk_usage(self._service.settings.data)
        yield GaugeMetricFamily(
            "stemwright_disk_free_bytes", "Room left where the data folder is.", value=float(disk.free)
        )


def _check_database(service: Service) -> str:
    try:
        with service.database.read() as session:
            session.execute(sqlalchemy.text("SELECT 1 FROM facts LIMIT 1"))
    except (sqlalchemy.exc.SQLAlchemyError, StorageError) as error:
        log.error("the database does not answer", exc_info=error)
        return NO_DATABASE
    return "ok"


def _check_storage(service: Service) -> str:
    """Writes one byte like an upload, without keeping it."""
    try:
        with service.store.writer() as writer:
            writer.write(b"\0")
    except StorageError as error:
        log.error("the store cannot be written", problem=str(error))
        return NO_STORAGE
    return "ok"


def _check_keys(service: Service) -> str | None:
    try:
        return None if service.keys.any() else NO_KEY
    except (sqlalchemy.exc.SQLAlchemyError, StorageError):
        return None  # the check of the database reports that
