"""The sign of life of a worker: a byte a quarter of a second, on a pipe to its supervisor.

It imports nothing but the standard library, so that it begins before the libraries of a worker are loaded: on a slow
machine that takes minutes.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress

INTERVAL_S = 0.25

STARTING = b"."
"""The worker is being loaded."""

READY = b"!"
"""The worker takes tasks."""

TASK_DONE = b"+"
"""A task has ended."""


class HeartbeatPipe:
    """A thread that writes the state of the worker to a file that does not block.

    Attributes:
        state: ``STARTING`` or ``READY``.
        on_tick: called after each byte, with the seconds since the call before.
    """

    def __init__(self, file: int) -> None:
        self.state = STARTING
        self.on_tick: Callable[[float], None] | None = None
        self._file = file

    def start(self) -> None:
        """Begins."""
        threading.Thread(target=self._run, name="heartbeat", daemon=True).start()

    def send(self, word: bytes) -> None:
        """Writes a word. It is lost where the supervisor is gone, or has not read for hours."""
        with suppress(BrokenPipeError, BlockingIOError):
            os.write(self._file, word)

    def _run(self) -> None:
        before = time.monotonic()
        while True:
            self.send(self.state)
            now = time.monotonic()
            if self.on_tick is not None:
                self.on_tick(now - before)
            before = now
            time.sleep(INTERVAL_S)
