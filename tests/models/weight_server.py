"""A web server with one file of weights, on 127.0.0.1 and a free port. What it does wrong it does when it is told to."""

from __future__ import annotations

import ssl
import threading
from collections import deque
from collections.abc import Callable, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any


class WeightServer:
    """The server; a context manager.

    Attributes:
        content: the file.
        headers: of each honest answer, such as ETag.
        acts: what the next requests get, one each; those that come after get the file, or the part that they ask for.
        targets: of all requests so far.
        requests: their headers, with names in lower case.
        release: ends all stalling.
    """

    def __init__(self, content: bytes, scheme: str = "http") -> None:
        self.content = content
        self.headers = {"ETag": '"one"', "Last-Modified": "Fri, 01 May 2026 07:00:00 GMT"}
        self.acts: deque[Act] = deque()
        self.targets: list[str] = []
        self.requests: list[Mapping[str, str]] = []
        self.release = threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.weights = self
        self._scheme = scheme
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> WeightServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.release.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    @property
    def url(self) -> str:
        """Of the server, ``http://127.0.0.1:PORT``."""
        return f"{self._scheme}://127.0.0.1:{self._server.server_port}"

    def speak_tls(self, certificate: Path, key: Path) -> None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        # the handshake comes with the first read, in the thread of its connection
        self._server.socket = context.wrap_socket(self._server.socket, server_side=True, do_handshake_on_connect=False)

    @property
    def ranges(self) -> list[str | None]:
        """What each request so far asked for."""
        return [request.get("range") for request in self.requests]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    weights: WeightServer

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that go away are part of the play."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Says nothing."""

    def do_GET(self) -> None:
        weights = self.server.weights
        self.close_connection = True
        weights.targets.append(self.path)
        weights.requests.append({name.lower(): value for name, value in self.headers.items()})
        act = weights.acts.popleft() if weights.acts else honest
        act(self)

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        for name, value in {**headers, "Connection": "close"}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.flush()

    def send(self, body: bytes) -> None:
        self.wfile.write(body)
        self.wfile.flush()

    def begin(self) -> bytes:
        """Sends the head of an honest answer, and gives what is to follow."""
        weights = self.server.weights
        content, start = weights.content, 0
        asked = self.headers.get("Range")
        condition = self.headers.get("If-Range")
        if asked is not None and condition in (None, *weights.headers.values()):
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
            if start >= len(content):
                self.head(416, {"Content-Range": f"bytes */{len(content)}", "Content-Length": "0"})
                return b""
            place = {"Content-Range": f"bytes {start}-{len(content) - 1}/{len(content)}"}
            self.head(206, {**weights.headers, **place, "Content-Length": str(len(content) - start)})
        else:
            self.head(200, {**weights.headers, "Content-Length": str(len(content))})
        return content[start:]


Act = Callable[[_Handler], None]


def honest(handler: _Handler) -> None:
    """The file, or the part of it that was asked for."""
    handler.send(handler.begin())


def answers(status: int, headers: Mapping[str, str] | None = None, body: bytes = b"") -> Act:
    """This and nothing else."""

    def act(handler: _Handler) -> None:
        handler.head(status, {"Content-Length": str(len(body)), **(headers or {})})
        handler.send(body)

    return act


def breaks_off(after_bytes: int) -> Act:
    """Begins honestly, and hangs up."""
    return lambda handler: handler.send(handler.begin()[:after_bytes])


def stalls(after_bytes: int) -> Act:
    """Begins honestly, sends nothing more until the server releases it, and then the rest."""

    def act(handler: _Handler) -> None:
        body = handler.begin()
        handler.send(body[:after_bytes])
        handler.server.weights.release.wait(60)
        handler.send(body[after_bytes:])

    return act


def without_length(body: bytes) -> Act:
    """A body that ends with the connection."""

    def act(handler: _Handler) -> None:
        handler.head(200, {})
        handler.send(body)

    return act


def hangs_up(handler: _Handler) -> None:
    """Not one byte."""
