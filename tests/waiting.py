"""Waiting in tests: for what is to come about, with an end so late that no slow machine reaches it."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 240.0
"""Seconds. A test that passes waits for nothing, also on a machine that is ten times slower."""


def wait_until(condition: Callable[[], object], what: str = "the condition") -> None:
    """Waits until something is true; fails, naming ``what``, if it still is not after ``PATIENCE_S``.

    Of each turn at most a second counts: time in which the machine, or this process, stood still is nobody's fault.
    """
    passed_s, before = 0.0, time.monotonic()
    while not condition():
        assert passed_s < PATIENCE_S, f"{what}: not within {PATIENCE_S:g} s"
        time.sleep(0.01)
        now = time.monotonic()
        passed_s, before = passed_s + min(now - before, 1.0), now
