"""What sources of songs do wrong, by paths under ``/faults/``."""

from __future__ import annotations

import gzip
from urllib.parse import parse_qs, urlsplit

from tests.http_stub import StubHandler


class Faults(StubHandler):
    """Answers, right and wrong ones. Waits end when the server stops."""

    def query(self) -> dict[str, str]:
        """The query of the request, each name once."""
        return {name: values[0] for name, values in parse_qs(urlsplit(self.path).query).items()}

    def misbehave(self) -> None:
        """``/faults/KIND?…``: sources that misbehave."""
        kind, query = self.path.split("?")[0].split("/")[2], self.query()
        match kind:
            case "status":
                self.send(b"sorry", int(query["code"]), {})
            case "redirect":
                self.send(b"", int(query.get("code", "302")), {"Location": query["to"]} if "to" in query else {})
            case "loop":
                self.send(b"", 302, {"Location": f"/faults/loop?n={int(query.get('n', '0')) + 1}"})
            case "short":  # less than it claims
                self.start_and_close(200, {"Content-Length": "1000"}, b"a" * 100)
            case "long":  # more than it claims
                self.start_and_close(200, {"Content-Length": "10"}, b"a" * 1000)
            case "huge":  # claims too much at once
                self.start_and_close(200, {"Content-Length": str(10**15)}, b"a")
            case "endless":  # claims nothing and goes on
                self.start_and_close(200, {}, b"")
                while not self.server.closing.is_set():
                    self.wfile.write(b"a" * 65536)
            case "gzip":
                self.send(gzip.compress(bytes(10**7)), 200, {"Content-Encoding": "gzip"})
            case "headers":
                self.start_and_close(200, {f"X-{number}": "a" * 1000 for number in range(500)}, b"")
            case "chatter":  # 1xx for ever
                while not self.server.closing.wait(0.001):
                    self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n")
            case "slow":
                self.pause()
                self.send(b"late", 200, {})
            case "silent":
                self.pause()
                self.close_connection = True
            case "drip":
                self.start_and_close(200, {"Content-Length": "100000"}, b"")
                self.drip(b"a" * 100000)
            case "drip-head":
                self.drip(b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 100000)
            case "garbage":
                self.wfile.write(b"\x00\x01SSH-2.0-not-http\r\n\r\n")
                self.close_connection = True
            case "empty":
                self.send(b"", 200, {})
            case "named":
                self.send(
                    b"song", 200, {"Content-Disposition": query["as"], "Content-Type": query.get("type", "audio/mpeg")}
                )
            case _:
                self.send(b"no such fault", 404, {})

    def send(self, body: bytes, status: int, headers: dict[str, str]) -> None:
        self.reply(status, body, headers)

    def start_and_close(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.start(status, {**headers, "Connection": "close"})
        if self.command != "HEAD":
            self.wfile.write(body)

    def pause(self, seconds: float | None = None) -> None:
        """Waits for so long, or until the server stops."""
        self.server.closing.wait(seconds)

    def drip(self, data: bytes) -> None:
        """Sends byte by byte, 50 a second, until the server stops."""
        self.close_connection = True
        for byte in data:
            if self.server.closing.wait(0.02):
                return
            self.wfile.write(bytes([byte]))
