"""A receiver of OTLP over HTTP on this machine: the spans that real processes send."""

from __future__ import annotations

import gzip
import threading
from dataclasses import dataclass

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from tests.http_stub import HttpStub, StubHandler


@dataclass(frozen=True)
class ReceivedSpan:
    """One span.

    Attributes:
        service: name of the service that sent it; pid: of its process.
        trace, id, parent: hex digits; ``parent`` is empty for the first of a trace.
    """

    name: str
    service: str
    pid: int
    trace: str
    id: str
    parent: str
    attributes: dict[str, str]


class OtlpReceiver(HttpStub):
    """Keeps what came in."""

    def __init__(self) -> None:
        super().__init__(_Handler)
        self._spans: list[ReceivedSpan] = []
        self._lock = threading.Lock()

    @property
    def spans(self) -> list[ReceivedSpan]:
        """All spans so far."""
        with self._lock:
            return list(self._spans)

    def add(self, request: ExportTraceServiceRequest) -> None:
        """Keeps the spans of a request."""
        for group in request.resource_spans:
            resource = {entry.key: entry.value for entry in group.resource.attributes}
            service, pid = resource["service.name"].string_value, resource["process.pid"].int_value
            for scope in group.scope_spans:
                for span in scope.spans:
                    facts = {entry.key: entry.value.string_value for entry in span.attributes}
                    ids = span.trace_id.hex(), span.span_id.hex(), span.parent_span_id.hex()
                    with self._lock:
                        self._spans.append(ReceivedSpan(span.name, service, pid, *ids, facts))


class _Handler(StubHandler):
    server: OtlpReceiver

    def answer(self) -> None:
        body = self.read_body()
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        if self.path == "/v1/traces":
            self.server.add(ExportTraceServiceRequest.FromString(body))
        self.reply(200, headers={"Content-Type": "application/x-protobuf"})
