"""A receiver of callbacks on this machine."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Receiver:
    """What came in.

    Attributes:
        url: where tasks are to be called back.
        arrived: how often a task was told of, by its id as 32 hex digits.
        bodies: what was told last.
        open: while it is not set, whoever calls waits for an answer.
        status: of the answers.
    """

    url: str
    arrived: Counter[str] = field(default_factory=Counter)
    bodies: dict[str, Any] = field(default_factory=dict)
    open: threading.Event = field(default_factory=threading.Event)
    status: int = 200


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver that listens."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            task_id = named(body)
            receiver.bodies[task_id] = body
            receiver.arrived[task_id] += 1
            receiver.open.wait(30)
            try:
                self.send_response(receiver.status)
                self.end_headers()
            except OSError:  # whoever called is dead
                pass

        def log_message(self, format: str, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    receiver = Receiver(f"http://127.0.0.1:{server.server_address[1]}/hook")
    receiver.open.set()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield receiver
    finally:
        receiver.open.set()
        server.shutdown()
        thread.join()
        server.server_close()


def named(body: dict[str, Any]) -> str:
    """The task that a callback of any face is about, as 32 hex digits."""
    data = body.get("data") or body
    found = data.get("task_id") or data.get("taskId") or data.get("id")
    assert isinstance(found, str), body
    return found.replace("-", "")
