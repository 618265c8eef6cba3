"""A thread pool for work that waits for other servers, so that such work does not use up Starlette's own pool."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from anyio import CapacityLimiter, to_thread

_Result = TypeVar("_Result")

THREADS = 32


class BlockingPool:
    """A limited number of threads for calls that may block on the network. Other requests do not wait for them."""

    def __init__(self, n_threads: int = THREADS) -> None:
        self._limiter = CapacityLimiter(n_threads)

    async def run(self, work: Callable[..., _Result], *arguments: object) -> _Result:
        """Runs ``work`` in a thread as soon as one is free."""
        return await to_thread.run_sync(work, *arguments, limiter=self._limiter)
