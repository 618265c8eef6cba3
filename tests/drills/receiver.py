"""A receiver of callbacks."""

from __future__ import annotations

import json
import threading
from collections import Counter
from contextlib import suppress
from typing import Any

from tests.http_stub import HttpStub, StubHandler


class Receiver(HttpStub):
    """What came in.

    Args:
        address: where it listens.

    Attributes:
        arrived: how often a task was told of, by its id as 32 hex digits.
        bodies: what was told last.
        open: while it is not set, whoever calls waits for an answer.
        status: of the answers.
    """

    def __init__(self, address: str = "127.0.0.1") -> None:
        super().__init__(_Handler, address)
        self.arrived: Counter[str] = Counter()
        self.bodies: dict[str, Any] = {}
        self.open = threading.Event()
        self.open.set()
        self.status = 200

    @property
    def url(self) -> str:
        """Where tasks are to be called back."""
        return f"{super().url}/hook"

    def __exit__(self, *_: object) -> None:
        self.open.set()
        super().__exit__()


class _Handler(StubHandler):
    server: Receiver

    def answer(self) -> None:
        body = json.loads(self.read_body())
        task_id = named(body)
        self.server.bodies[task_id] = body
        self.server.arrived[task_id] += 1
        self.server.open.wait()
        with suppress(OSError):  # whoever called is dead
            self.start(self.server.status)


def named(body: dict[str, Any]) -> str:
    """The task that a callback of any face is about, as 32 hex digits."""
    data = body.get("data") or body
    found = data.get("task_id") or data.get("taskId") or data.get("id")
    assert isinstance(found, str), body
    return found.replace("-", "")
