"""A web server with one file of weights, on 127.0.0.1 and a free port. What it does wrong it does when it is told to."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from tests.http_stub import HttpStub, StubHandler


class WeightServer(HttpStub):
    """The server; a context manager.

    Attributes:
        content: the file.
        headers: of each honest answer, such as ETag.
        acts: what the next requests get, one each; those that come after get the file, or the part that they ask for.
        targets: of all requests so far.
        requests: their headers, with names in lower case.
        release: ends all stalling.
    """

    def __init__(self, content: bytes) -> None:
        super().__init__(_Handler)
        self.content = content
        self.headers = {"ETag": '"one"', "Last-Modified": "Fri, 01 May 2026 07:00:00 GMT"}
        self.acts: deque[Act] = deque()
        self.targets: list[str] = []
        self.requests: list[Mapping[str, str]] = []
        self.release = self.closing

    @property
    def ranges(self) -> list[str | None]:
        """What each request so far asked for."""
        return [request.get("range") for request in self.requests]


class _Handler(StubHandler):
    protocol_version = "HTTP/1.1"
    server: WeightServer

    def answer(self) -> None:
        weights = self.server
        self.close_connection = True
        weights.targets.append(self.path)
        weights.requests.append({name.lower(): value for name, value in self.headers.items()})
        act = weights.acts.popleft() if weights.acts else honest
        act(self)

    def head(self, status: int, headers: Mapping[str, str]) -> None:
        self.start(status, {**headers, "Connection": "close"})

    def send(self, body: bytes) -> None:
        if self.command != "HEAD":
            self.wfile.write(body)

    def begin(self) -> bytes:
        """Sends the head of an honest answer, and gives what is to follow."""
        weights = self.server
        content, start, end = weights.content, 0, len(weights.content)
        asked = self.headers.get("Range")
        condition = self.headers.get("If-Range")
        if asked is not None and condition in (None, *weights.headers.values()):
            first, _, last = asked.removeprefix("bytes=").partition("-")
            start, end = int(first), min(end, int(last) + 1) if last else end
            if start >= len(content):
                self.head(416, {"Content-Range": f"bytes */{len(content)}", "Content-Length": "0"})
                return b""
            place = {"Content-Range": f"bytes {start}-{end - 1}/{len(content)}"}
            self.head(206, {**weights.headers, **place, "Content-Length": str(end - start)})
        else:
            self.head(200, {**weights.headers, "Content-Length": str(len(content))})
        return content[start:end]


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
        handler.server.release.wait()
        handler.send(body[after_bytes:])

    return act


def without_length(body: bytes, headers: Mapping[str, str] | None = None) -> Act:
    """A body that ends with the connection."""

    def act(handler: _Handler) -> None:
        handler.head(200, headers or {})
        handler.send(body)

    return act


def chunked(body: bytes, headers: Mapping[str, str] | None = None) -> Act:
    """A body in chunks, of a length that nobody knows before."""

    def act(handler: _Handler) -> None:
        handler.head(200, {"Transfer-Encoding": "chunked", **(headers or {})})
        handler.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body))

    return act


def hangs_up(handler: _Handler) -> None:
    """Not one byte."""
