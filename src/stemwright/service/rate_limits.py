"""Rate limit for new tasks: a sliding window in server memory."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque
from dataclasses import dataclass
from typing import Protocol

from stemwright.service.clock import Clock
from stemwright.service.errors import RateLimited
from stemwright.service.keys import Caller
from stemwright.settings import parse_rate

MESSAGE = "Your call frequency is too high. Please try again later."


class RateLimiter(Protocol):
    """Counts new tasks."""

    def acquire(self, caller: Caller, face: str, rate: str) -> None:
        """Counts one new task of the caller.

        Args:
            caller: a key with its own limit is counted by itself.
            face: where the task is submitted; each face has its own window.
            rate: limit of the face, ``COUNT/SECONDS`` or ``0``.

        Raises:
            RateLimited: the window is full; states how many seconds to wait.
        """


@dataclass(frozen=True)
class Window:
    """At most ``count`` tasks within ``seconds``, for all that have the same ``name``."""

    name: str
    count: int
    seconds: float


def window_of(caller: Caller, face: str, rate: str) -> Window | None:
    """The window that a new task counts in; None without a limit."""
    parsed = parse_rate(caller.rate_limit or rate)
    if parsed is None:
        return None
    name = f"key {caller.key_id}" if caller.rate_limit else f"{face} {caller.account_id}"
    return Window(name, *parsed)


def rate_limited(wait_s: float) -> RateLimited:
    """The error for a full window."""
    return RateLimited(MESSAGE, max(1.0, wait_s))


class MemoryRateLimiter:
    """Sliding windows per account, and per key with a limit of its own, of one server.

    Args:
        clock: monotonic: a wall clock set back by hours would keep full windows full for hours.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._windows: dict[str, deque[float]] = defaultdict(deque)
        self._lock = threading.Lock()

    def acquire(self, caller: Caller, face: str, rate: str) -> None:
        """See ``RateLimiter``."""
        window = window_of(caller, face, rate)
        if window is None:
            return
        with self._lock:
            times, now = self._windows[window.name], self._clock()
            while times and times[0] <= now - window.seconds:
                times.popleft()
            if len(times) >= window.count:
                raise rate_limited(times[-window.count] + window.seconds - now)
            times.append(now)
