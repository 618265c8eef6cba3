"""What happened, with the second in which it did."""

from __future__ import annotations

import threading
import time


class EventLog:
    """Prints each line as it comes. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._began_at = time.monotonic()

    def begin(self) -> None:
        """Seconds are counted from now on."""
        self._began_at = time.monotonic()

    @property
    def seconds(self) -> float:
        """Since ``begin``."""
        return time.monotonic() - self._began_at

    def write(self, line: str) -> None:
        """Adds a line with the time."""
        self.say(f"{self.seconds:7.1f} s  {line}")

    def say(self, line: str) -> None:
        """Adds a line without it."""
        with self._lock:
            print(line, flush=True)
