"""The application: all faces under one address."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

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
from stemwright.api.native.event_streams import EventStreams
from stemwright.api.paths import PathNormalizer
from stemwright.api.problems import problem_response
from stemwright.api.request_metrics import RequestMetrics
from stemwright.service.callbacks import Bodies, CallbackLoop
from stemwright.service.retention import RetentionLoop
from stemwright.service.service import Service

DESCRIPTION = """Splits songs into stems. Three faces of one server: kie.ai's (`/api/v1/vocal-removal/…`), crun.ai's
(`/api/v1/client/…`) and our own (`/v1/…`). The key goes into `Authorization: Bearer …` or `x-api-key: …` on all of them."""

EXPOSED_HEADERS = [
    "Retry-After",
    "Content-Range",
    "Accept-Ranges",
    "Content-Disposition",
    "ETag",
    "Idempotency-Replayed",
    "Link",
]


def callback_bodies(service: Service) -> Bodies:
    """What each face sends when a task ends."""
    return {
        "kie": lambda task: kie.callback_body(service, task),
        "crun": lambda task: crun.callback_body(service, task),
        "native": lambda task: native.callback_body(service, task),
    }


def create_app(service: Service, n_workers_ready: Callable[[], int] | None = None) -> FastAPI:
    """The application on a service. While it runs it delivers callbacks and sweeps up what has expired.

    Args:
        service: the domain.
        n_workers_ready: how many workers of this process take tasks; None where it has none of its own.
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
        docs_url=None,  # FastAPI's page loads Swagger UI from another host; ours is in pages
        redoc_url=None,
        redirect_slashes=False,  # paths.PlainPaths removes the slash again, so a client would go in circles
    )
    # Browser clients call the vendors' paths and play the audio (docs/contracts.md, section 16).
    app.add_middleware(
        CORSMiddleware, allow_origins=["*"], allow_methods=["*"], allow_headers=["*"], expose_headers=EXPOSED_HEADERS
    )
    registry = CollectorRegistry()
    app.add_middleware(RequestMetrics, registry=registry)
    app.add_middleware(PathNormalizer)
    streams = EventStreams(service)
    Gauge("stemwright_event_streams", "Streams of events that are open.", registry=registry).set_function(
        lambda: streams.n_open
    )
    app.include_router(health.router(service, registry, n_workers_ready))
    app.include_router(pages.router(service))
    app.include_router(files.router(service))
    app.include_router(native.router(service, streams))
    # crun's paths begin as kie's do; the catch-all of each face comes after its own routes.
    app.include_router(crun.router(service))
    app.include_router(uploads.router(service))
    app.include_router(kie.router(service))
    app.add_exception_handler(HTTPException, lambda request, error: _error_response(service, request, error))
    return app


def _error_response(service: Service, request: Request, error: Exception) -> Response:
    """A request that reached no route of a face is refused in the words of the face that its path begins with."""
    path = request.scope["path"]  # request.url would be read from the Host header, which may be anything
    if path.startswith(("/api/v1/client/", "/p/")):
        return crun_envelope.error_response(error)
    if path.startswith("/api/"):
        return kie_envelope.Envelope(service.settings).error(error)
    return problem_response(error)
