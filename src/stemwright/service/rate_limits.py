"""How fast an account may start tasks: a moving window, in the memory of the server."""

from __future__ import annotations

import threading
import time
from collections import defaultdict, deque

from stemwright.service.clock import Clock
from stemwright.service.errors import RateLimited
from stemwright.service.keys import Caller
from stemwright.settings import parse_rate

MESSAGE = "Your call frequency is too high. Please try again later."


class RateLimiter:
    """Windows of all accounts and of all keys that have a limit of their own.

    Args:
        clock: one that nobody sets: a clock put back by hours would keep full windows full for as long.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._windows: dict[tuple[str, str], deque[float]] = defaultdict(deque)
        self._lock = threading.Lock()

    def acquire(self, caller: Caller, face: str, rate: str) -> None:
        """Counts one new task of the caller's.

        Args:
            caller: whose key, if it has a limit, is measured by that.
            face: on which the task is made; each face has a window of its own.
            rate: the face's limit, ``COUNT/SECONDS`` or ``0``.

        Raises:
            RateLimited: the window is full; says how many seconds to wait.
        """
        parsed = parse_rate(caller.rate_limit or rate)
        if parsed is None:
            return
        count, seconds = parsed
        name = ("key", caller.key_id) if caller.rate_limit else (face, caller.account_id)
        with self._lock:
            window, now = self._windows[name], self._clock()
            while window and window[0] <= now - seconds:
                window.popleft()
            if len(window) >= count:
                raise RateLimited(MESSAGE, max(1.0, window[-count] + seconds - now))
            window.append(now)
