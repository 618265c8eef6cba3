"""What a worker gives its handler beside a task, without the worker."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class StubContext:
    """A ``TaskContext``: stops when it is told to, by itself after so many advances, or never."""

    stops: bool = False
    advances: int = 0
    stops_after: int | None = None

    def should_stop(self) -> bool:
        return self.stops or (self.stops_after is not None and self.advances >= self.stops_after)

    def is_cancelled(self) -> bool:
        return False

    def advance(self) -> None:
        self.advances += 1
