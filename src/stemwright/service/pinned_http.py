"""One HTTP exchange on one connection: to checked addresses only, with a total timeout."""

from __future__ import annotations

import ssl
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import httpcore
import httpx

from stemwright import __version__
from stemwright.service.ssrf_guard import ParsedUrl

USER_AGENT = f"Stemwright/{__version__}"
IDLE_TIMEOUT_S = 20.0
PIECE_BYTES = 65536

AddressLookup = Callable[[str, int, float], Sequence[str]]
"""Resolves a host to checked addresses, for a port, within a timeout in seconds."""


@dataclass(frozen=True)
class PinnedResponse:
    """Status and headers of a response; header names in lower case. ``pieces`` streams the body."""

    status: int
    headers: Mapping[str, str]
    pieces: Iterator[bytes]


@cache
def tls_context() -> ssl.SSLContext:
    """Returns a TLS context that trusts the default certificate authorities. Cached, as loading them is slow."""
    return httpx.create_ssl_context()


@contextmanager
def send_request(
    method: str,
    destination: ParsedUrl,
    *,
    headers: Mapping[str, str],
    body: bytes = b"",
    addresses: AddressLookup,
    timeout_s: float,
    context: ssl.SSLContext | None = None,
    backend: httpcore.NetworkBackend | None = None,
) -> Iterator[PinnedResponse]:
    """Sends a request and yields the response; the connection closes at the end of the block.

    The host name is used for TLS and the Host header; the connection goes to the result of ``addresses``. Proxies are
    ignored, redirects are not followed, and response heads above 100 kB are an error.

    Args:
        method: GET or POST.
        destination: the parsed URL.
        headers: in addition to Host and Content-Length.
        body: the complete body.
        addresses: called once.
        timeout_s: total, from name resolution to the last byte.
        context: for TLS; None: the default authorities.
        backend: opens the connections; None: system sockets.

    Raises:
        httpcore.TimeoutException: the timeout is over, or no data came for ``IDLE_TIMEOUT_S`` seconds.
        httpcore.NetworkError, httpcore.ProtocolError: the connection failed or broke, or the peer does not speak HTTP.
    """
    deadline = time.monotonic() + timeout_s
    idle = {name: min(timeout_s, IDLE_TIMEOUT_S) for name in ("connect", "read", "write", "pool")}
    sent = {"Host": destination.authority, **headers, "Connection": "close"}
    if method == "POST":
        sent["Content-Length"] = str(len(body))
    port = destination.port
    with httpcore.HTTPConnection(
        httpcore.Origin(destination.scheme.encode(), destination.host.encode(), port),
        ssl_context=context or tls_context(),
        network_backend=_PinnedBackend(addresses, deadline, backend or httpcore.SyncBackend()),
    ) as connection:
        url = httpcore.URL(scheme=destination.scheme, host=destination.host, port=port, target=destination.target)
        with connection.stream(
            method, url, headers=list(sent.items()), content=body, extensions={"timeout": idle}
        ) as answer:
            named = {_text(name).lower(): _text(value) for name, value in answer.headers}
            yield PinnedResponse(answer.status, named, answer.iter_stream())


class _PinnedBackend(httpcore.NetworkBackend):
    """Connects only to the checked addresses of a host, in order."""

    def __init__(self, addresses: AddressLookup, deadline: float, backend: httpcore.NetworkBackend) -> None:
        self._addresses = addresses
        self._deadline = deadline
        self._backend = backend

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        failure: Exception = httpcore.ConnectError(f"{host} has no address")
        for address in self._addresses(host, port, _remaining_s(self._deadline, timeout)):
            try:
                stream = self._backend.connect_tcp(
                    address, port, _remaining_s(self._deadline, timeout), local_address, socket_options
                )
                return _DeadlineStream(stream, self._deadline)
            except (httpcore.ConnectError, httpcore.ConnectTimeout) as error:
                failure = error
        raise failure


class _DeadlineStream(httpcore.NetworkStream):
    """A stream whose reads and writes end at the deadline, even if the peer keeps sending single bytes."""

    def __init__(self, stream: httpcore.NetworkStream, deadline: float) -> None:
        self._stream = stream
        self._deadline = deadline

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _remaining_s(self._deadline, timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), PIECE_BYTES):
            self._stream.write(buffer[start : start + PIECE_BYTES], _remaining_s(self._deadline, timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        secured = self._stream.start_tls(ssl_context, server_hostname, _remaining_s(self._deadline, timeout))
        return _DeadlineStream(secured, self._deadline)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _text(value: bytes) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return value.decode("latin-1")


def _remaining_s(deadline: float, timeout: float | None) -> float:
    left = deadline - time.monotonic()
    if left <= 0:
        raise httpcore.ReadTimeout("the time for the whole exchange is over")
    return left if timeout is None else min(left, timeout)
