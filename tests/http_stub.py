"""A small web server for tests, on a free port: each connection has a thread, and nothing is logged."""

from __future__ import annotations

import ssl
import sys
import threading
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self


class StubHandler(BaseHTTPRequestHandler):
    """Reads and answers requests: a subclass defines ``answer``, which all methods come to."""

    server: HttpStub

    def answer(self) -> None:
        raise NotImplementedError

    def _answer(self) -> None:
        self.answer()

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = _answer  # noqa: N815  # the library's names

    def log_message(self, format: str, *args: Any) -> None:
        """Logs nothing."""

    def read_body(self) -> bytes:
        """The body of the request, of the length that its head gives."""
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def start(self, status: int, headers: Mapping[str, str] | None = None) -> None:
        """Sends the status and these headers."""
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()

    def reply(self, status: int, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        """Sends a whole answer, to HEAD without the body; ``Content-Length`` is added where the headers have none."""
        self.start(status, {"Content-Length": str(len(body)), **(headers or {})})
        if self.command != "HEAD":
            self.wfile.write(body)


class HttpStub(ThreadingHTTPServer):
    """The server; a context manager. A subclass holds what its handler needs: a handler finds it as ``self.server``.

    Attributes:
        address: where it listens.
        closing: set when the server stops; whatever a handler waits for ends then.
    """

    request_queue_size = 128

    def __init__(self, handler: type[StubHandler], address: str = "127.0.0.1") -> None:
        super().__init__((address, 0), handler)
        self.address = address
        self.closing = threading.Event()
        self._scheme = "http"
        # a short interval, for shutdown() waits for the end of one
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.shutdown()
        self._thread.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Says nothing of clients that go away, as many do on purpose."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)

    @property
    def port(self) -> int:
        return self.server_port

    @property
    def url(self) -> str:
        """``http://ADDRESS:PORT``, with ``https`` after ``listen_with_tls``."""
        return f"{self._scheme}://{self.address}:{self.port}"

    def listen_with_tls(self, certificate: Path, key: Path) -> list[str]:
        """Speaks TLS from now on; gives the list to which the server names that clients ask for will be added."""
        context, names = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), list[str]()
        context.load_cert_chain(certificate, key)
        context.sni_callback = lambda _socket, name, _context: names.append(name)
        # the handshake comes with the first read, in the thread of its connection
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self._scheme = "https"
        return names
