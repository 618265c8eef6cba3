"""Starts one worker process, watches its heartbeat, kills it when it hangs, and restarts it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress

from stemwright.jobs.heartbeat_pipe import READY, TASK_DONE
from stemwright.jobs.queue import Queue
from stemwright.jobs.worker import WorkerConfig

MIN_UPTIME_S = 10.0
"""A worker that dies younger than that is restarted after a pause, twice as long each time."""

INITIAL_BACKOFF_S = 0.25
MAX_BACKOFF_S = 5.0

START_TIMEOUT_S = 120.0
"""A worker that is not ready yet and has had no heartbeat for so long hangs. Two cores need less than 1 s to the first
heartbeat; then libraries of hundreds of MB may be read from a slow disk, and no thread runs while one is linked."""

HEARTBEAT_TIMEOUT_S = 60.0
"""The same for a worker that is ready: it hangs in code that lets no other thread run."""

MAX_CHECK_GAP_S = 1.0
"""The most that one look counts. Where looks are rarer the whole machine is slow, or stood still, and so is the worker."""

COMMAND = (sys.executable, "-P", "-c", "from stemwright.jobs.worker_main import main; main()")

logger = logging.getLogger(__name__)


class WorkerProcess:
    """The place of one worker.

    Each worker that is killed for its silence doubles the time that the next ones may be silent, until a task ends: a
    machine that is slower than these limits foresee still gets its work done, only later.

    Args:
        config: what the worker gets at its start.
        queue: where the leases of dead workers are ended.
        clock: seconds that never go back.

    Attributes:
        process: the worker, while there is one.
        is_ready: it has loaded its handler and takes tasks.
        silent_s: seconds since its last heartbeat, as far as they count.
        is_killed: it was killed because its heartbeat stopped.
        timeout_factor: what the timeouts are multiplied by; 1 at first.
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
        with suppress(BrokenPipeError):  # it is dead already, and the next look finds it so
            self.process.stdin.write(self._config.to_line())

    def check(self) -> None:
        """Reads the heartbeat; cleans up after a worker that died, and restarts it after the backoff."""
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
        """Asks the worker to end."""
        if self.process is not None:
            self.process.terminate()

    def end(self, timeout_s: float) -> None:
        """Waits for the worker's end, and kills it where it does not come; its task has done nothing wrong then."""
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
        self._queue.release_worker(self.name, counts=counts)

    def _read_heartbeats(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdout is not None
        said = process.stdout.read(65_536)  # None: nothing new; empty: it is dying
        if said:
            self.silent_s = 0.0
            self.is_ready = self.is_ready or READY in said
            if TASK_DONE in said:
                self.timeout_factor = 1
