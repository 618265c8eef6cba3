"""Waiting for a separation to end: how often to look, and how long."""

from __future__ import annotations

import time

from stemwright import arguments
from stemwright.client.errors import RenderingFailedError, SeparationFailedError, WaitTimeoutError
from stemwright.client.records import Separation
from stemwright.client.rendering_calls import Rendering

POLL_S = 1.0
"""Between two looks at a separation whose stream of events broke."""

STREAM_SILENCE_S = 40.0
"""The server sends a heartbeat every 15 s; a stream that is silent for longer is dead."""


class Deadline:
    """When to stop waiting; ``None`` seconds: never."""

    def __init__(self, timeout_s: float | None, what: str = "separation") -> None:
        seconds = None if timeout_s is None else arguments.number(timeout_s, "timeout_s", "seconds")
        self._seconds = seconds
        self._what = what
        self._end = None if seconds is None else time.monotonic() + seconds

    def check(self) -> None:
        """Raises WaitTimeoutError when the time is over."""
        if self._end is not None and time.monotonic() >= self._end:
            raise WaitTimeoutError(f"The {self._what} has not ended after {self._seconds:g} s; it continues.")

    def at_most(self, seconds: float) -> float:
        """So many seconds, or what is left."""
        return seconds if self._end is None else max(0.01, min(seconds, self._end - time.monotonic()))


def finished(ended: Separation) -> Separation:
    """The separation, if it succeeded.

    Raises:
        SeparationFailedError: it did not.
    """
    if ended.state != "succeeded":
        raise SeparationFailedError(ended)
    return ended


def finished_rendering(ended: Rendering) -> Rendering:
    """The rendering, if it succeeded.

    Raises:
        RenderingFailedError: it did not.
    """
    if ended.state != "succeeded":
        raise RenderingFailedError(ended.error or "The rendering failed.")
    return ended
