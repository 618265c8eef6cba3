"""Forwards requests to a vendor with the operator's key, and streams the responses back.

Neither side sees the other's key: the client's key and cookies are not forwarded, and the operator's key is replaced by
asterisks if it occurs in a response.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Self
from urllib.parse import unquote_to_bytes

import httpx
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from stemwright.service.errors import NotFound, UpstreamTimeout
from stemwright.service.pinned_http import tls_context
from stemwright.service.upstream import Vendor, VendorName, vendor
from stemwright.settings import Settings

_HOP_BY_HOP_HEADERS = frozenset(
    [
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    ]
)
_DROPPED_REQUEST_HEADERS = _HOP_BY_HOP_HEADERS | frozenset(
    [
        "host",
        "expect",
        "authorization",
        "x-api-key",
        "cookie",
        "accept-encoding",
        "forwarded",
        "via",
        "x-real-ip",
        "true-client-ip",
    ]
)
# Cookies and browser policies are for the vendor's host. Date, server name and CORS headers are set by this server.
_DROPPED_RESPONSE_HEADERS = _HOP_BY_HOP_HEADERS | frozenset(
    [
        "set-cookie",
        "strict-transport-security",
        "alt-svc",
        "clear-site-data",
        "nel",
        "report-to",
        "server",
        "date",
        "content-encoding",
    ]
)


class Passthrough:
    """Forwards requests to one vendor.

    Each request uses a new connection. A kept one may be closed by now, and a retry could create a task twice.
    """

    def __init__(self, settings: Settings, to: Vendor) -> None:
        self._vendor = to
        self._timeout_s = settings.upstream_timeout_s

    @classmethod
    def open(cls, settings: Settings, name: VendorName) -> Self | None:
        """For the vendor with that name; None if the operator has no key for it."""
        found = vendor(settings, name)
        return cls(settings, found) if found is not None else None

    async def forward(self, request: Request, content: bytes | None = None) -> Response:
        """The vendor's response to a client's request, sent with the same method, path, query and body.

        Args:
            request: authenticated already.
            content: its body if it was read already; else the body is streamed.

        Raises:
            UpstreamTimeout: the vendor cannot be reached, or does not respond within ``upstream_timeout_s`` seconds.
            NotFound: the path has ``.`` or ``..`` segments, or is not valid in a URL.
        """
        client = httpx.AsyncClient(
            verify=tls_context(), timeout=self._timeout_s, follow_redirects=False, trust_env=False
        )
        try:
            answer = await self._send(client, request, content)
        except BaseException:
            await client.aclose()
            raise
        return _ForwardedResponse(client, answer, self._vendor.key.get_secret_value())

    async def _send(self, client: httpx.AsyncClient, request: Request, content: bytes | None) -> httpx.Response:
        name = self._vendor.name
        try:
            # Restarted with each chunk that the client sends: a large body may take longer.
            async with asyncio.timeout(self._timeout_s) as limit:
                outgoing = client.build_request(
                    request.method,
                    self._url(request),
                    headers=self._headers(request, content),
                    content=self._body(request, content, limit),
                )
                return await client.send(outgoing, stream=True)
        except (TimeoutError, httpx.TimeoutException) as error:
            raise UpstreamTimeout(f"{name} did not answer in time. Please try again later.") from error
        except httpx.TransportError as error:
            raise UpstreamTimeout(f"{name} could not be reached. Please try again later.") from error

    def _url(self, request: Request) -> httpx.URL:
        base, path = httpx.URL(self._vendor.url), request.scope["raw_path"]
        if any(unquote_to_bytes(segment) in (b".", b"..") for segment in path.split(b"/")):
            raise NotFound("There is no such path.")
        target = base.raw_path.rstrip(b"/") + path
        if query := request.scope["query_string"]:
            target += b"?" + query
        try:
            return base.copy_with(raw_path=target)
        except (httpx.InvalidURL, UnicodeError) as error:
            raise NotFound("There is no such path.") from error

    def _headers(self, request: Request, content: bytes | None) -> list[tuple[str, str]]:
        dropped = _DROPPED_REQUEST_HEADERS | _connection_options(request.headers.get("connection", ""))
        if content is not None:
            dropped |= {"content-length", "content-encoding"}  # the body was decoded when it was read
        kept = [
            (name, value)
            for name, value in request.headers.items()
            if name not in dropped and not name.startswith(("x-forwarded-", "cf-"))
        ]
        # Not compressed, so that the key can be found in the response.
        return [*kept, ("accept-encoding", "identity"), *self._vendor.headers.items()]

    def _body(
        self, request: Request, content: bytes | None, limit: asyncio.Timeout
    ) -> bytes | AsyncIterator[bytes] | None:
        if content is not None:
            return content
        has_body = "content-length" in request.headers or "transfer-encoding" in request.headers
        return self._body_chunks(request, limit) if has_body else None

    async def _body_chunks(self, request: Request, limit: asyncio.Timeout) -> AsyncIterator[bytes]:
        async for chunk in request.stream():
            limit.reschedule(asyncio.get_running_loop().time() + self._timeout_s)
            yield chunk


class _ForwardedResponse(StreamingResponse):
    """Streams the vendor's response without the operator's key, and closes the connection in every case."""

    def __init__(self, client: httpx.AsyncClient, answer: httpx.Response, key: str) -> None:
        super().__init__(_redacted(answer.aiter_bytes(), key.encode()), answer.status_code)
        self._client = client
        self._answer = answer
        dropped = _DROPPED_RESPONSE_HEADERS | _connection_options(answer.headers.get("connection", ""))
        if "content-encoding" in answer.headers:  # httpx decodes it, so the length changes
            dropped |= {"content-length"}
        self.raw_headers = [
            (name.lower(), _redact(value, key.encode()))
            for name, value in answer.headers.raw
            if (plain := name.decode("latin-1").lower()) not in dropped and not plain.startswith("access-control-")
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._answer.aclose()
            await self._client.aclose()


def _connection_options(value: str) -> frozenset[str]:
    return frozenset(name.strip().lower() for name in value.split(","))


def _redact(data: bytes, key: bytes) -> bytes:
    return data.replace(key, b"*" * len(key))


async def _redacted(chunks: AsyncIterator[bytes], key: bytes) -> AsyncIterator[bytes]:
    held = b""
    async for chunk in chunks:
        held = _redact(held + chunk, key)
        # The end of the data may be the start of the key: that part waits for the next chunk.
        waiting = next((size for size in range(len(key) - 1, 0, -1) if held.endswith(key[:size])), 0)
        ready, held = held[: len(held) - waiting], held[len(held) - waiting :]
        if ready:
            yield ready
    if held:
        yield held
