"""Rate limit for new tasks: a sliding window in server memory."""

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
    """Sliding windows per account, and per key with a limit of its own.

    Args:
        clock: monotonic: a wall clock set back by hours would keep full windows full for hours.
    """

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._windows: dict[tuple[str, str], deque[float]] = defaultdict(deque)
        self._lock = threading.Lock()

    def acquire(self, caller: Caller, face: str, rate: str) -> None:
        """Counts one new task of the caller.

        Args:
            caller: a key with its own limit is counted by itself.
            face: where the task is submitted; each face has its own window.
            rate: limit of the face, ``COUNT/SECONDS`` or ``0``.

        Raises:
            RateLimited: the window is full; states how many seconds to wait.
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
