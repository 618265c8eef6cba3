"""A web server that stands in for the world outside: both vendors, sources of songs and receivers of callbacks.

It listens on 127.0.0.1 and a free port. What it does wrong, it does on request: by a path under ``/faults/``, or for a
vendor's path by ``break_with``.
"""

from __future__ import annotations

import gzip
import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Literal
from urllib.parse import urlsplit

from tests.http_stub import HttpStub
from tests.vendors import CRUN_KEY, KIE_KEY, Received, Song, Vendors, VendorTask, tone

__all__ = ["CRUN_KEY", "KIE_KEY", "Fault", "Received", "Song", "StandIn", "VendorTask", "tone"]

Fault = Literal["slow", "failing", "refusing", "busy", "silent", "garbage", "cut", "drip", "headerless", "leaky"]


class StandIn(HttpStub):
    """The server; a context manager.

    Attributes:
        received: all requests so far.
        targets: their request lines' targets, as they came.
        answers: bodies, as bytes or for JSON, with which paths answer in place of what they would.
        callback_statuses: what ``/hook`` answers with, one after the other; the last one stays.
    """

    def __init__(self) -> None:
        super().__init__(_Handler)
        self.received: list[Received] = []
        self.callback_statuses = [200]
        self.targets: list[str] = []
        self.answers: dict[str, Any] = {}
        self.credits = 5916.25
        self._tasks: dict[str, VendorTask] = {}
        self._faults: dict[str, tuple[Fault, float | None]] = {}
        self._open: list[str] = []
        self._changed = threading.Condition()

    def add_task(self, *songs: Song, crun: bool = False) -> VendorTask:
        """A finished task of a vendor's; with no songs, one that still runs."""
        task_id = str(uuid.uuid4()) if crun else uuid.uuid4().hex
        task = self._tasks[task_id] = VendorTask(task_id, list(songs))
        return task

    def task(self, task_id: str) -> VendorTask | None:
        return self._tasks.get(task_id)

    def song(self, song_id: str) -> Song | None:
        return next((song for task in self._tasks.values() for song in task.songs if song.id == song_id), None)

    def break_with(self, fault: Fault | None, path: str = "/api/", seconds: float | None = None) -> None:
        """Makes all paths that begin with ``path`` fail from now on; with None, no longer.

        ``slow`` and ``silent`` wait for so many seconds; without a number, until the server stops.
        """
        if fault is None:
            self._faults.pop(path, None)
        else:
            self._faults[path] = (fault, seconds)

    def fault(self, path: str) -> tuple[Fault, float | None] | None:
        return next((fault for start, fault in self._faults.items() if path.startswith(start)), None)

    def busy(self, path: str) -> bool:
        """Whether an answer for that path is still being sent."""
        return path in self._open

    @contextmanager
    def serving(self, path: str) -> Iterator[None]:
        self._open.append(path)
        try:
            yield
        finally:
            self._open.remove(path)

    def note(self, request: Received, target: str) -> None:
        with self._changed:
            self.targets.append(target)
            self.received.append(request)
            self._changed.notify_all()

    def of(self, path: str) -> list[Received]:
        """The requests for one path."""
        return [request for request in self.received if request.path == path]

    def wait_for(self, path: str, count: int = 1, timeout_s: float = 240.0) -> list[Received]:
        """Waits until a path was asked for so many times, and gives these requests.

        Raises:
            TimeoutError: it was not.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.of(path)) >= count, timeout_s):
                raise TimeoutError(f"{path} was asked for {len(self.of(path))} times in {timeout_s} s, not {count}")
        return self.of(path)

    def wait_for_any(self, count: int, timeout_s: float = 240.0) -> None:
        """Waits until so many requests have come."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.received) >= count, timeout_s)


class _Handler(Vendors):
    protocol_version = "HTTP/1.1"
    server: StandIn

    def answer(self) -> None:
        with self.server.serving(urlsplit(self.path).path):
            self._serve()

    def _serve(self) -> None:
        self.world = self.server
        parts = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.request_ = Received(self.command, parts.path, self.query(), headers, self._body(), time.time())
        self.world.note(self.request_, self.path)
        if (fault := self.world.fault(parts.path)) and not self._go_wrong(*fault):
            return
        if parts.path in self.world.answers:
            answer = self.world.answers[parts.path]
            return self.send(answer, 200, {}) if isinstance(answer, bytes) else self.json(answer)
        segments = parts.path.strip("/").split("/")
        routes: dict[str, Callable[[], None]] = {"faults": self.misbehave, "audio": self._audio, "hook": self._hook}
        if segments[0] in routes:
            return routes[segments[0]]()
        if segments[:3] == ["api", "v1", "client"]:
            return self.crun("/".join(segments[3:]))
        return self.kie("/".join(segments[2:]))

    def _body(self) -> bytes:
        if self.headers.get("transfer-encoding", "").lower() != "chunked":
            return self.read_body()
        pieces = []
        while size := int(self.rfile.readline().split(b";")[0], 16):
            pieces.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(pieces)

    # --- songs, callbacks

    def _audio(self) -> None:
        song = self.world.song(self.request_.path.rpartition("/")[2].removesuffix(".wav"))
        if song is None:
            return self.send(b"no such song", 404, {"Content-Type": "text/plain"})
        self.send(song.audio, 200, {"Content-Type": "audio/wav"})

    def _hook(self) -> None:
        statuses = self.world.callback_statuses
        status = statuses.pop(0) if len(statuses) > 1 else statuses[0]
        self.json({"status": "received"}, status)

    # --- what goes wrong

    def _go_wrong(self, fault: Fault, seconds: float | None) -> bool:
        """Lets a vendor's path go wrong; gives whether the right answer follows."""
        match fault:
            case "slow":
                self.pause(seconds)
                return True
            case "silent":
                self.pause(seconds)
                self.close_connection = True
            case "failing":
                self.json({"code": 500, "msg": "Server Error - it broke", "data": None}, 500)
            case "refusing":
                self.json({"code": 402, "msg": "The current credits are insufficient.", "data": None})
            case "busy":
                self.json({"code": 429, "msg": "Your call frequency is too high.", "data": None}, 429)
            case "garbage":
                self.send(b"<html>not JSON</html>", 200, {"Content-Type": "text/html"})
            case "cut":
                self.start_and_close(200, {"Content-Length": "1000"}, b'{"code":200')
            case "drip":
                self.start_and_close(200, {"Content-Length": "100000"}, b"")
                self.drip(b" " * 100_000)
            case "headerless":
                self.drip(b"HTTP/1.1 200 OK\r\nX-Long: " + b"a" * 5000)
            case "leaky":
                sent = self.request_.headers.get("authorization", "") + self.request_.headers.get("x-api-key", "")
                body = json.dumps({"code": 200, "msg": f"your key is {sent}, indeed", "data": None}).encode()
                extra = {"Set-Cookie": "JSESSIONID=1", "X-Your-Key": sent, "Content-Encoding": "gzip"}
                self.send(gzip.compress(body), 200, {"Content-Type": "application/json", **extra})
        return False
