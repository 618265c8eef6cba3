"""Request metrics: counts by route, method and status, and the time until the response begins."""

from __future__ import annotations

import time

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)


class RequestMetrics:
    """Middleware that counts. The label is the route's template, so that ids in paths do not create new time series."""

    def __init__(self, app: ASGIApp, registry: CollectorRegistry) -> None:
        self._app = app
        labels = ("route", "method", "status")
        self._requests = Counter("stemwright_requests", "Requests answered.", labels, registry=registry)
        self._seconds = Histogram(
            "stemwright_answer_seconds",
            "Seconds until an answer began.",
            ("route",),
            registry=registry,
            buckets=BUCKETS_S,
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request and counts its response."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = time.perf_counter()

        async def send_and_count(message: Message) -> None:
            if message["type"] == "http.response.start":
                route = getattr(scope.get("route"), "path", "none")
                method = scope["method"] if scope["method"].isalpha() and len(scope["method"]) <= 7 else "other"
                self._requests.labels(route, method, message["status"]).inc()
                self._seconds.labels(route).observe(time.perf_counter() - started)
            await send(message)

        await self._app(scope, receive, send_and_count)
