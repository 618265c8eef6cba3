"""Waiting for other machines without keeping anybody else waiting."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

_Result = TypeVar("_Result")

THREADS = 32


class BlockingPool:
    """Threads of its own for work that may wait for other machines: however slow they are, all else is answered."""

    def __init__(self, n_threads: int = THREADS) -> None:
        self._limiter = CapacityLimiter(n_threads)

    async def run(self, work: Callable[..., _Result], *arguments: object) -> _Result:
        """Runs the work in one of the threads, when one is free."""
        return await to_thread.run_sync(work, *arguments, limiter=self._limiter)
