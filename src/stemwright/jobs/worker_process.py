"""Starts a worker process, monitors its heartbeat, kills it if it hangs, and restarts it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

import structlog

from stemwright.errors import DatabaseUnavailableError
from stemwright.jobs.heartbeat_pipe import READY, TASK_DONE
from stemwright.jobs.queue import Queue
from stemwright.jobs.worker import WorkerConfig

MIN_UPTIME_S = 10.0
"""A worker that dies younger than this, in seconds, is restarted after a pause, doubled each time."""

INITIAL_BACKOFF_S = 0.25
MAX_BACKOFF_S = 5.0

START_TIMEOUT_S = 120.0
"""Heartbeat timeout in seconds until a worker is ready. Two cores need less than 1 s to the first heartbeat;
then libraries of hundreds of MB may load from a slow disk, and no thread runs while one is linked."""

HEARTBEAT_TIMEOUT_S = 60.0
"""Heartbeat timeout in seconds of a ready worker: it hangs in code that blocks all threads."""

MAX_CHECK_GAP_S = 1.0
"""Maximum seconds counted per check. If checks are late, the machine is slow or was suspended, worker included."""

COMMAND = (sys.executable, "-P", "-c", "from stemwright.jobs.worker_main import main; main()")

logger = structlog.stdlib.get_logger(__name__)


class WorkerProcess:
    """Slot for one worker.

    Each kill for a missing heartbeat doubles the timeouts until a task ends: a machine too slow for the timeouts still
    finishes its tasks, only later.

    Args:
        config: passed to the worker at startup.
        queue: where leases of dead workers are released.
        clock: monotonic seconds.

    Attributes:
        process: the worker process; None if there is no process.
        is_ready: the worker has loaded its handler and accepts tasks.
        silent_s: counted seconds since the last heartbeat.
        is_killed: the worker was killed because its heartbeat stopped.
        timeout_factor: multiplier of the timeouts; initially 1.
    """

    def __init__(self, config: WorkerConfig, queue: Queue, clock: Callable[[], float] = time.monotonic) -> None:
        self.name = config.name
        self.process: subprocess.Popen[bytes] | None = None
        self.is_ready = False
        self.silent_s = 0.0
        self._config = config
        self._queue = queue
        self._clock = clock
        self.timeout_factor = 1
        self.is_killed = False
        self._backoff_s = 0.0
        self._started_at = self._checked_at = self._restart_at = 0.0

    def start(self) -> None:
        """Starts the worker."""
        self.process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        assert self.process.stdin is not None and self.process.stdout is not None
        os.set_blocking(self.process.stdout.fileno(), False)
        self._started_at = self._checked_at = self._clock()
        self.silent_s = 0.0
        self.is_killed = False
        with suppress(BrokenPipeError):  # it has died already; the next check cleans up
            self.process.stdin.write(self._config.to_line())

    def check(self) -> None:
        """Reads the heartbeat; cleans up after a dead worker and restarts it after the backoff."""
        now = self._clock()
        if self.process is None:
            if now >= self._restart_at:
                self.start()
            return
        self.silent_s += min(now - self._checked_at, MAX_CHECK_GAP_S)
        self._checked_at = now
        self._read_heartbeats(self.process)
        if self.process.poll() is None:
            self._check_heartbeat(self.process)
            return
        young = now - self._started_at < MIN_UPTIME_S
        self._backoff_s = (
            min(MAX_BACKOFF_S, max(INITIAL_BACKOFF_S, 2 * self._backoff_s)) if young else INITIAL_BACKOFF_S
        )
        logger.warning(
            "worker %s died (%d); the next starts in %.2f s", self.name, self.process.returncode, self._backoff_s
        )
        self._restart_at = now + self._backoff_s
        self._clean_up(self.process)

    def terminate(self) -> None:
        """Asks the worker to exit."""
        if self.process is not None:
            self.process.terminate()

    def end(self, timeout_s: float) -> None:
        """Waits for the worker to exit and kills it after the timeout; the attempt does not count."""
        if self.process is None:
            return
        try:
            self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            logger.error("worker %s does not stop and is killed", self.name)
            self.process.kill()
            self.process.wait()
            self._clean_up(self.process, counts=False)
        else:
            self._clean_up(self.process)

    def _check_heartbeat(self, process: subprocess.Popen[bytes]) -> None:
        limit_s = self.timeout_factor * (HEARTBEAT_TIMEOUT_S if self.is_ready else START_TIMEOUT_S)
        if self.silent_s <= limit_s or self.is_killed:
            return
        what = "hangs" if self.is_ready else "does not start"
        logger.error(
            "worker %s %s: no sign of life for %.0f s, so it is killed; the next may be silent for twice as long",
            self.name,
            what,
            limit_s,
        )
        self.is_killed = True
        self.timeout_factor *= 2
        process.kill()

    def _clean_up(self, process: subprocess.Popen[bytes], *, counts: bool = True) -> None:
        assert process.stdin is not None and process.stdout is not None
        process.stdin.close()
        process.stdout.close()
        self.process = None
        self.is_ready = False
        try:
            released = self._queue.release_worker(self.name, counts=counts)
        except DatabaseUnavailableError as error:
            logger.warning("worker %s is gone, and its lease runs out by itself: %s", self.name, error)
            return
        for task in released:
            logger.warning("task returned to the queue: its worker is gone", task=task, worker=self.name)

    def _read_heartbeats(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        said = process.stdout.read(65_536)  # None: no new data; empty: it is dying
        if said:
            self.silent_s = 0.0
            self.is_ready = self.is_ready or READY in said
            if TASK_DONE in said:
                self.timeout_factor = 1
