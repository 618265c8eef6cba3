"""The web application: all APIs under one address."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Gauge
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response

import stemwright
from stemwright.api import files, health, pages
from stemwright.api.crun import envelope as crun_envelope
from stemwright.api.crun import routes as crun
from stemwright.api.kie import envelope as kie_envelope
from stemwright.api.kie import routes as kie
from stemwright.api.kie import uploads
from stemwright.api.native import routes as native
from stemwright.api.native import session
from stemwright.api.native.event_streams import EventStreams
from stemwright.api.paths import PathNormalizer
from stemwright.api.problems import problem_response
from stemwright.api.request_metrics import RequestMetrics
from stemwright.service.callbacks import Bodies, CallbackLoop
from stemwright.service.retention import RetentionLoop
from stemwright.service.service import Service

DESCRIPTION = """Splits songs into stems. Three APIs on one server: kie.ai's (`/api/v1/vocal-removal/…`), crun.ai's
(`/api/v1/client/…`) and our own (`/v1/…`). Send the key in `Authorization: Bearer …` or `x-api-key: …` on all of them."""

EXPOSED_HEADERS = [
    "Retry-After",
    "Content-Range",
    "Accept-Ranges",
    "Content-Disposition",
    "ETag",
    "Idempotency-Replayed",
    "Link",
]

TELEMETRY: Any = {  # of newer releases of FastAPI; older ones ignore it, and requests then begin no trace
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    # Only what creates something is traced. Polls would drown it, and links have their signature in the path.
    "exclude": lambda scope: scope.get("method") != "POST",
}
"""Spans of requests, if tracing is on (``stemwright.tracing``)."""


def callback_bodies(service: Service) -> Bodies:
    """The callback body of each API, as a function of the ended task."""
    return {
        "kie": lambda task: kie.callback_body(service, task),
        "crun": lambda task: crun.callback_body(service, task),
        "native": lambda task: native.callback_body(service, task),
    }


def create_app(service: Service, n_workers_ready: Callable[[], int] | None = None) -> FastAPI:
    """The web application of a service. While it runs, it delivers callbacks and deletes what has expired.

    Args:
        service: accounts, tracks, tasks and their storage.
        n_workers_ready: how many workers of this server are ready; None if it has no workers of its own.
    """

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        callbacks = CallbackLoop(service.callbacks, callback_bodies(service))
        retention = RetentionLoop(service.retention)
        callbacks.start()
        retention.start()
        try:
            yield
        finally:
            retention.stop()
            callbacks.stop()

    app = FastAPI(
        title="Stemwright",
        version=stemwright.__version__,
        description=DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,  # FastAPI's page loads Swagger UI from another host; ours is in pages.py
        redoc_url=None,
        telemetry=TELEMETRY,
        redirect_slashes=False,  # paths.PlainPaths removes the slash again, so a redirect would loop
    )
    # Browser clients call the vendors' paths and play the audio (docs/contracts.md, section 16).
    app.add_middleware(
        CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"], expose_headers=EXPOSED_HEADERS
    )
    registry = CollectorRegistry()
    app.add_middleware(RequestMetrics, registry=registry)
    app.add_middleware(PathNormalizer)
    streams = EventStreams(service)
    Gauge("stemwright_event_streams", "Event streams that are open.", registry=registry).set_function(
        lambda: streams.n_open
    )
    app.include_router(health.router(service, registry, n_workers_ready))
    app.include_router(pages.router(service))
    app.include_router(files.router(service))
    app.include_router(session.router(service))
    app.include_router(native.router(service, streams, n_workers_ready))
    # crun's paths begin like kie's, so crun comes first. Each catch-all comes after the other routes of its API.
    app.include_router(crun.router(service))
    app.include_router(uploads.router(service))
    app.include_router(kie.router(service))
    app.add_exception_handler(HTTPException, lambda request, error: _error_response(service, request, error))
    return app


def create_health_app(service: Service, n_workers_ready: Callable[[], int]) -> FastAPI:
    """The endpoints of a worker: ``/livez``, ``/readyz`` and ``/metrics``."""
    app = FastAPI(title="Stemwright worker", version=stemwright.__version__, docs_url=None, redoc_url=None)
    app.include_router(health.router(service, CollectorRegistry(), n_workers_ready, is_worker=True))
    return app


def _error_response(service: Service, request: Request, error: Exception) -> Response:
    """An error outside the routes (404, 405), in the format of the API that the path belongs to."""
    path = request.scope["path"]  # not request.url, which is built from the Host header, and that may be anything
    if path.startswith(("/api/v1/client/", "/p/")):
        return crun_envelope.error_response(error)
    if path.startswith("/api/"):
        return kie_envelope.Envelope(service.settings).error(error)
    return problem_response(error)
