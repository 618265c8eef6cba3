"""Worker heartbeat: one byte per quarter second, on a pipe to the supervisor.

Imports only the standard library, so that it starts before the worker's libraries are loaded, which takes minutes on a
slow machine.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress

INTERVAL_S = 0.25

STARTING = b"."
"""The worker is loading."""

READY = b"!"
"""The worker accepts tasks."""

TASK_DONE = b"+"
"""A task has ended."""


class HeartbeatPipe:
    """Thread that writes the state of the worker to a non-blocking file.

    Attributes:
        state: ``STARTING`` or ``READY``.
        on_tick: called after each byte, with the seconds since the previous call.
    """

    def __init__(self, file: int) -> None:
        self.state = STARTING
        self.on_tick: Callable[[float], None] | None = None
        self._file = file

    def start(self) -> None:
        """Starts the thread."""
        threading.Thread(target=self._run, name="heartbeat", daemon=True).start()

    def send(self, word: bytes) -> None:
        """Writes a message byte. It is lost if the supervisor has exited, or has not read for hours."""
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
