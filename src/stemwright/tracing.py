"""OpenTelemetry traces, sent by OTLP over HTTP. Off unless ``STEMWRIGHT_OTLP_ENDPOINT`` is set; needs the extra ``otel``.

The context of the request that creates a task is stored with the task (``Task.trace_context``, a W3C traceparent), so
that the request, the worker's spans and the callback are one trace, on however many machines they ran.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

import stemwright
from stemwright.errors import UsageError

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider

    from stemwright.settings import Settings

Attributes = Mapping[str, str | int | float | bool]

SPAN_KINDS = {"internal": 0, "client": 2, "consumer": 4}
"""Kinds of spans that ``span`` makes, as numbers of ``opentelemetry.trace.SpanKind``."""

_provider: TracerProvider | None = None


def configure_tracing(settings: Settings, role: str) -> None:
    """Begins to send the spans of this process, if the settings name an endpoint.

    Args:
        settings: with the endpoint.
        role: what this process is, such as ``server`` or ``worker``.

    Raises:
        UsageError: the extra is not installed.
    """
    global _provider
    if settings.otlp_endpoint is None or _provider is not None:
        return
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        raise UsageError(
            f"STEMWRIGHT_OTLP_ENDPOINT needs packages that are not installed ({error.name}): "
            "pip install 'stemwright[otel]', or leave the setting out."
        ) from error
    resource = Resource.create(
        {
            "service.name": f"stemwright-{role}",
            "service.version": stemwright.__version__,
            "process.pid": os.getpid(),
        }
    )
    _provider = TracerProvider(resource=resource)
    _provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{settings.otlp_endpoint}/v1/traces")))
    trace.set_tracer_provider(_provider)  # FastAPI's own spans of requests take it from here


def shutdown_tracing() -> None:
    """Sends the spans that wait, and stops."""
    global _provider
    if _provider is not None:
        _provider.shutdown()
        _provider = None


@contextmanager
def span(
    name: str, attributes: Attributes | None = None, *, parent: str | None = None, kind: str = "internal"
) -> Iterator[None]:
    """A span around a block; nothing if traces are off. An exception marks the span as failed.

    Args:
        name: what is done, without ids.
        attributes: facts about it.
        parent: the context of ``current_context``; None: the span around this one.
        kind: one of ``SPAN_KINDS``.
    """
    if _provider is None:
        yield
        return
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = TraceContextTextMapPropagator().extract({"traceparent": parent}) if parent else None
    tracer = _provider.get_tracer("stemwright", stemwright.__version__)
    with tracer.start_as_current_span(name, context, kind=SpanKind(SPAN_KINDS[kind]), attributes=attributes):
        yield


def current_context() -> str | None:
    """The context of the span around the caller, as a W3C traceparent; None without one."""
    if _provider is None:
        return None
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    carrier: dict[str, str] = {}
    TraceContextTextMapPropagator().inject(carrier)
    return carrier.get("traceparent")


def current_trace_id() -> str | None:
    """The id of the current trace, which log lines name; None without one."""
    context = current_context()
    return context.split("-")[1] if context else None
