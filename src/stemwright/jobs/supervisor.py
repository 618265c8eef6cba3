"""Supervisor of the server's worker processes."""

from __future__ import annotations

import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import structlog

from stemwright.errors import StorageError, storage_error
from stemwright.jobs.queue import Queue
from stemwright.jobs.worker import WorkerConfig
from stemwright.jobs.worker_process import WorkerProcess
from stemwright.settings import Settings

WORKER_PREFIX = "local"
"""The workers of a data folder are ``local/0``, ``local/1`` and so on: a folder has only one server.

On many machines their names begin with the host's name and some random digits instead."""

CHECK_INTERVAL_S = 0.1
STALL_TIMEOUT_S = 1800.0
"""One chunk of the largest network takes 53 s on two cores (docs/benchmarks.md), so 9 minutes on a CPU a tenth as
fast, without progress reports meanwhile."""

DRAIN_TIMEOUT_S = 15.0

logger = structlog.stdlib.get_logger(__name__)


@contextmanager
def lock_data_folder(data: Path) -> Iterator[None]:
    """Locks a data folder for one server.

    Raises:
        StorageError: another server holds the lock, or the folder is not writable.
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
            raise StorageError(f"Another server uses {data}: stop it first, or choose another --data.") from None
        yield
    finally:
        os.close(lock)


class Supervisor:
    """Starts the workers and restarts those that die.

    Args:
        handler: ``package.module:function``, the factory of the workers' handler (``jobs.handler``).
        stall_s: seconds without progress after which a task is given up.
        clock: monotonic seconds, used to time missing heartbeats.
    """

    def __init__(
        self,
        settings: Settings,
        queue: Queue,
        handler: str,
        *,
        stall_s: float = STALL_TIMEOUT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._queue = queue
        self._prefix = WORKER_PREFIX if queue.is_local else f"{socket.gethostname()}-{secrets.token_hex(3)}"
        self._lease_s = settings.lease_s
        self._processes = [
            WorkerProcess(WorkerConfig(f"{self._prefix}/{place}", handler, settings, stall_s), queue, clock)
            for place in range(settings.workers)
        ]
        self._draining = threading.Event()
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    @property
    def n_ready(self) -> int:
        """Number of workers that have loaded their handler and accept tasks."""
        return sum(process.is_ready for process in self._processes)

    @property
    def pids(self) -> list[int]:
        """Process ids of running workers."""
        return [process.process.pid for process in self._processes if process.process is not None]

    def start(self) -> None:
        """Starts all workers. Call it once, while holding ``lock_data_folder``."""
        for task in self._queue.release_worker(self._prefix):  # workers of a killed server are dead or about to exit
            logger.warning("task returned to the queue: its server was killed", task=task)
        for process in self._processes:
            process.start()
        self._thread.start()
        if not self._queue.is_local:
            threading.Thread(target=self._keep_alive, name="leases", daemon=True).start()

    def drain(self, timeout_s: float = DRAIN_TIMEOUT_S) -> None:
        """Stops all workers: each stops at its next chunk, and its task returns to the queue."""
        self._draining.set()
        if self._thread.is_alive():
            self._thread.join()
        for process in self._processes:
            process.terminate()
        deadline = time.monotonic() + timeout_s
        for process in self._processes:
            process.end(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while not self._draining.wait(CHECK_INTERVAL_S):
            for process in self._processes:
                try:
                    process.check()
                except Exception:
                    logger.exception("worker %s could not be checked; trying again", process.name)

    def _keep_alive(self) -> None:
        """Extends the leases of the workers that live, also while one of them loads a library, which stops its threads."""
        while not self._draining.wait(self._lease_s / 4):
            try:
                self._queue.keep_alive([process.name for process in self._processes if process.process is not None])
            except Exception as error:
                logger.warning("the workers' leases could not be extended: %s", error)
