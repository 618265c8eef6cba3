"""How fast an account may start tasks: a moving window, in the memory of the server."""

from __future__ import annotations

import time

from limits import RateLimitItemPerSecond
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter

from stemwright.service.errors import TooFast
from stemwright.service.keys import Caller
from stemwright.settings import parse_rate

MESSAGE = "Your call frequency is too high. Please try again later."


class RateLimits:
    """Windows of all accounts and of all keys that have a limit of their own."""

    def __init__(self) -> None:
        self._limiter = MovingWindowRateLimiter(MemoryStorage())

    def take(self, caller: Caller, face: str, rate: str) -> None:
        """Counts one new task of the caller's.

        Args:
            caller: whose key, if it has a limit, is measured by that.
            face: on which the task is made; each face has a window of its own.
            rate: the face's limit, ``COUNT/SECONDS`` or ``0``.

        Raises:
            TooFast: the window is full; says how many seconds to wait.
        """
        parsed = parse_rate(caller.rate_limit or rate)
        if parsed is None:
            return
        count, seconds = parsed
        item = RateLimitItemPerSecond(count, max(1, round(seconds)))
        names = ("key", caller.key_id) if caller.rate_limit else (face, caller.account_id)
        if not self._limiter.hit(item, *names):
            reset = self._limiter.get_window_stats(item, *names).reset_time
            raise TooFast(MESSAGE, max(1.0, reset - time.time()))
