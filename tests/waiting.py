"""Waiting in tests: for what is to come about, with an end so late that no slow machine reaches it."""

from __future__ import annotations

import time
from collections.abc import Callable

PATIENCE_S = 240.0
"""Seconds. A test that passes waits for nothing, also on a machine that is ten times slower."""


def wait_until(condition: Callable[[], object], what: str = "the condition") -> None:
    """Waits until something is true; fails, naming ``what``, if it still is not after ``PATIENCE_S``."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE_S:g} s"
        time.sleep(0.01)
