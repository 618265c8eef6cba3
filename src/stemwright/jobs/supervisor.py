"""Keeps the worker processes of a server alive."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from stemwright.errors import StorageError, storage_error
from stemwright.jobs.queue import Queue
from stemwright.jobs.worker import TaskOrder
from stemwright.jobs.worker_process import WorkerProcess
from stemwright.settings import Settings

NAME = "local"
"""All workers of a data folder are ``local/0``, ``local/1`` and so on: the folder has one server."""

TICK_S = 0.1
STALL_S = 1800.0
"""One chunk of the largest network takes 53 s on two cores (docs/benchmarks.md), so 9 minutes on a processor a tenth as
fast, and tells nothing meanwhile."""

DRAIN_S = 15.0

logger = logging.getLogger(__name__)


@contextmanager
def exclusive(data: Path) -> Iterator[None]:
    """Holds a data folder for one server.

    Raises:
        StorageError: another one holds it, or the folder cannot be written.
    """
    import fcntl

    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = os.open(data / "server.lock", os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise storage_error(error, data) from error
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise StorageError(f"Another server works on {data}: stop it first, or name another --data.") from None
        yield
    finally:
        os.close(lock)


class Supervisor:
    """Starts the workers, and starts again those that die.

    Args:
        handler: ``package.module:function``, the factory of the workers' handler (``jobs.handler``).
        stall_s: seconds without progress after which a task is given up.
        clock: seconds that never go back, by which the silence of workers is measured.
    """

    def __init__(
        self,
        settings: Settings,
        queue: Queue,
        handler: str,
        *,
        stall_s: float = STALL_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._slots = [
            WorkerProcess(TaskOrder(f"{NAME}/{place}", handler, settings, stall_s), queue, clock)
            for place in range(settings.workers)
        ]
        self._drains = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="supervisor", daemon=True)

    @property
    def n_ready(self) -> int:
        """Workers that have loaded their handler and take tasks."""
        return sum(slot.is_ready for slot in self._slots)

    @property
    def pids(self) -> list[int]:
        """The processes that run now."""
        return [slot.process.pid for slot in self._slots if slot.process is not None]

    def start(self) -> None:
        """Starts all workers. Call it once, while the data folder is held by ``exclusive``."""
        self._queue.release_worker(NAME)  # those of a server that was killed are dead or about to be
        for slot in self._slots:
            slot.start()
        self._thread.start()

    def drain(self, timeout_s: float = DRAIN_S) -> None:
        """Ends all workers: each stops at its next chunk, and its task goes back to the queue."""
        self._drains.set()
        if self._thread.is_alive():
            self._thread.join()
        for slot in self._slots:
            slot.terminate()
        deadline = time.monotonic() + timeout_s
        for slot in self._slots:
            slot.end(max(0.0, deadline - time.monotonic()))

    def _watch(self) -> None:
        while not self._drains.wait(TICK_S):
            for slot in self._slots:
                try:
                    slot.look()
                except Exception:
                    logger.exception("worker %s could not be looked after; trying again", slot.name)
