"""Keeps the worker processes of a server alive."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from stemwright.errors import StorageError, storage_error
from stemwright.jobs.queue import Queue
from stemwright.jobs.worker import READY, Order
from stemwright.settings import Settings

NAME = "local"
"""All workers of a data folder are ``local/0``, ``local/1`` and so on: the folder has one server."""

TICK_S = 0.1
SHORT_LIFE_S = 10.0
"""A worker that dies younger than that is restarted after a pause, twice as long each time."""

FIRST_PAUSE_S = 0.25
LONGEST_PAUSE_S = 5.0
SILENCE_S = 30.0
"""A worker without a pulse for so long hangs in code that lets no other thread run."""

STALL_S = 1800.0
"""One chunk of the largest network takes minutes on a slow processor, and tells nothing meanwhile."""

DRAIN_S = 15.0

COMMAND = (sys.executable, "-P", "-c", "from stemwright.jobs.worker import main; main()")

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
    """

    def __init__(self, settings: Settings, queue: Queue, handler: str, *, stall_s: float = STALL_S) -> None:
        self._queue = queue
        self._slots = [
            _Slot(Order(f"{NAME}/{place}", handler, settings, stall_s), queue) for place in range(settings.workers)
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


class _Slot:
    """The place of one worker."""

    def __init__(self, order: Order, queue: Queue) -> None:
        self.name = order.name
        self.process: subprocess.Popen[bytes] | None = None
        self.is_ready = False
        self._order = order
        self._queue = queue
        self._pause_s = 0.0
        self._started_at = self._heard_at = self._start_at = 0.0

    def start(self) -> None:
        """Starts the worker."""
        self.process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        assert self.process.stdin is not None and self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)
        self._started_at = self._heard_at = time.monotonic()
        with suppress(BrokenPipeError):  # it is dead already, and the next look finds it so
            self.process.stdin.write(self._order.to_line())

    def look(self) -> None:
        """Listens to the worker; buries it where it died or hangs, and starts the next when its time has come."""
        now = time.monotonic()
        if self.process is None:
            if now >= self._start_at:
                self.start()
            return
        self._listen(self.process)
        if self.process.poll() is None:
            if now - self._heard_at > SILENCE_S:
                logger.error("worker %s hangs and is killed", self.name)
                self.process.kill()
            return
        young = now - self._started_at < SHORT_LIFE_S
        self._pause_s = min(LONGEST_PAUSE_S, max(FIRST_PAUSE_S, 2 * self._pause_s)) if young else FIRST_PAUSE_S
        logger.warning(
            "worker %s died (%d); the next starts in %.2f s", self.name, self.process.returncode, self._pause_s
        )
        self._start_at = now + self._pause_s
        self._bury(self.process)

    def terminate(self) -> None:
        """Asks the worker to end."""
        if self.process is not None:
            self.process.terminate()

    def end(self, timeout_s: float) -> None:
        """Waits for the worker's end, and kills it where it does not come."""
        if self.process is None:
            return
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            logger.error("worker %s does not stop and is killed", self.name)
            self.process.kill()
            self.process.wait()
        self._bury(self.process)

    def _bury(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        process.stdout.close()
        self.process = None
        self.is_ready = False
        self._queue.release_worker(self.name)

    def _listen(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        said = process.stdout.read(65_536)  # None: nothing new; empty: it is dying
        if said:
            self._heard_at = time.monotonic()
            self.is_ready = self.is_ready or READY in said
