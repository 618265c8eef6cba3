"""Worker process: runs tasks from the queue, one at a time. It may be killed at any time.

It has four threads. The main thread runs the handler. The heartbeat thread reports to the supervisor, and fails tasks
that use too much memory or make no progress. One thread extends the lease, as the database may be slow. One reads
standard input; end of file means that the server has exited.
"""

from __future__ import annotations

import base64
import os
import pickle
import signal
import threading
import time
from dataclasses import dataclass
from types import FrameType

import psutil
import structlog

from stemwright.cpu_memory_limits import cores, limit_blas, threads_per_worker
from stemwright.database.engine import Database
from stemwright.errors import DatabaseUnavailableError, StorageError
from stemwright.jobs.handler import FailureReason, Handler, TaskInterrupted, TaskPostponed, load_factory
from stemwright.jobs.heartbeat_pipe import INTERVAL_S, READY, TASK_DONE, HeartbeatPipe
from stemwright.jobs.open_queue import open_queue
from stemwright.jobs.queue import Abilities, Lease, Queue, task_memory_bytes
from stemwright.logs import configure_logs
from stemwright.settings import Settings
from stemwright.tracing import configure_tracing, shutdown_tracing

STORAGE_RETRY_S = 2.0
"""Pause in seconds when the queue cannot be written, or a handler cannot work."""

MAX_TICK_S = 1.0
"""Maximum time without progress counted per heartbeat: if heartbeats are late, the handler is late too."""

STOP_TIMEOUT_S = 10.0
"""Seconds that a handler may take to stop at shutdown."""

RELEASE_TIMEOUT_S = 10.0
"""Seconds to return the task to the queue after the server has exited."""

NICE_INCREMENT = 5

logger = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True)
class WorkerConfig:
    """Configuration passed to a worker at startup.

    Attributes:
        name: name of the worker in its leases, ``local/0``.
        handler: ``package.module:function``, the factory of its handler.
        stall_s: seconds without progress after which a task is given up.
    """

    name: str
    handler: str
    settings: Settings
    stall_s: float

    def to_line(self) -> bytes:
        """Returns one line for the worker's standard input; arguments would expose the secrets in the settings."""
        return base64.b64encode(pickle.dumps(self)) + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> WorkerConfig:
        """Parses the output of ``to_line``."""
        config: WorkerConfig = pickle.loads(base64.b64decode(line))
        return config


class RunningTask:
    """The running task; the ``TaskContext`` of its handler."""

    def __init__(self, worker: Worker, lease: Lease) -> None:
        self._worker = worker
        self.lease = lease
        self.lost = False
        self.cancelled = False
        self.extended_at = time.monotonic()
        self.stalled_s = 0.0

    def should_stop(self) -> bool:
        """See ``TaskContext``."""
        return self.lost or self._worker.is_stopping

    def is_cancelled(self) -> bool:
        """See ``TaskContext``."""
        return self.cancelled

    def advance(self) -> None:
        """See ``TaskContext``."""
        self.stalled_s = 0.0


class Worker:
    """Runs tasks from a queue with a handler, until stopped."""

    def __init__(self, config: WorkerConfig, queue: Queue, heartbeat: HeartbeatPipe) -> None:
        self._config = config
        self._queue = queue
        self._heartbeat = heartbeat
        self._handler: Handler | None = None
        self._running: RunningTask | None = None
        self._stopped_at: float | None = None
        self._open_lease_counts: bool | None = None  # a lease may be left in the database; whether it is an attempt
        self._wake = threading.Event()
        self._process = psutil.Process()
        self._memory_limit = task_memory_bytes(config.settings)

    @property
    def is_stopping(self) -> bool:
        """Whether the worker is shutting down."""
        return self._stopped_at is not None

    def stop(self) -> None:
        """Requests shutdown; the worker exits when the handler has stopped. Safe in a signal handler."""
        self._stopped_at = self._stopped_at or time.monotonic()

    def run(self) -> None:
        """Runs tasks until ``stop``. Call it in the main thread."""
        threading.Thread(target=self._watch_stdin, name="server", daemon=True).start()
        threading.Thread(target=self._renew_lease, name="lease", daemon=True).start()
        self._queue.listen(self._wake.set, self._on_cancel)
        self._heartbeat.on_tick = self._on_heartbeat
        self._handler = load_factory(self._config.handler)(self._config.settings)
        self._heartbeat.state = READY
        self._heartbeat.send(READY)
        while not self.is_stopping:
            try:
                self._poll(self._handler)
            except StorageError as error:  # e.g. disk full: restarting the worker would not help
                logger.error("worker %s waits: %s", self._config.name, error)
                time.sleep(STORAGE_RETRY_S)

    def _poll(self, handler: Handler) -> None:
        if self._open_lease_counts is not None:
            self._queue.release_worker(self._config.name, counts=self._open_lease_counts)
            self._open_lease_counts = None
        self._wake.clear()
        try:
            lease = self._queue.claim(self._config.name, self._config.settings.lease_s)
        except DatabaseUnavailableError:
            self._open_lease_counts = False  # whether it was granted is not known
            raise
        if lease is None:
            self._wake.wait(self._queue.poll_s)
            return
        self._open_lease_counts = True
        try:
            self._run_task(handler, lease)
        except DatabaseUnavailableError:
            self._open_lease_counts = False  # no fault of the task's
            raise
        self._open_lease_counts = None
        self._heartbeat.send(TASK_DONE)

    def _run_task(self, handler: Handler, lease: Lease) -> None:
        if lease.attempt > self._config.settings.attempts:
            self._fail(handler, lease, "crashes")
            return
        self._running = RunningTask(self, lease)
        try:
            with structlog.contextvars.bound_contextvars(task=lease.task_id, attempt=lease.attempt):
                handler.run(lease, self._running)
        except TaskPostponed as postponed:
            self._queue.release(lease)
            logger.warning("task handed back: it cannot go on here for now", task=lease.task_id, reason=str(postponed))
            time.sleep(STORAGE_RETRY_S)  # a worker elsewhere may be able to: it is to be the first who asks
        except TaskInterrupted:
            self._queue.release(lease)
            logger.info("task handed back", task=lease.task_id, attempt=lease.attempt)
        except StorageError:  # the lease cannot be released now either
            raise
        except Exception:
            logger.exception("task failed with an unexpected error", task=lease.task_id)
            self._queue.release_worker(self._config.name)
        else:
            self._queue.complete(lease)
        finally:
            self._running = None

    def _fail(self, handler: Handler, lease: Lease, reason: FailureReason) -> None:
        logger.error("task given up", task=lease.task_id, reason=reason)
        handler.fail(lease, reason)
        self._queue.complete(lease)

    def _on_heartbeat(self, passed_s: float) -> None:
        if self._stopped_at is not None and time.monotonic() - self._stopped_at > STOP_TIMEOUT_S:
            self._exit_now()
        if (running := self._running) is not None:
            self._check(running, passed_s)

    def _check(self, running: RunningTask, passed_s: float) -> None:
        if self._process.memory_info().rss > self._memory_limit:
            self._fail_and_exit(running, "memory")
        running.stalled_s += min(passed_s, MAX_TICK_S)
        if running.stalled_s > self._config.stall_s:
            self._fail_and_exit(running, "stall")

    def _renew_lease(self) -> None:
        while True:
            if (running := self._running) is not None:
                self._extend(running)
            time.sleep(INTERVAL_S)

    def _extend(self, running: RunningTask) -> None:
        now = time.monotonic()
        if now - running.extended_at > self._config.settings.lease_s / 3:
            running.extended_at = now
            try:
                running.lost = not self._queue.extend(running.lease, self._config.settings.lease_s)
            except StorageError as error:
                logger.warning("the lease could not be extended", task=running.lease.task_id, reason=str(error))
            except Exception:
                logger.exception("the lease could not be extended", task=running.lease.task_id)

    def _on_cancel(self, task_id: str) -> None:
        """The queue says that a client has cancelled a task, held by this worker or another."""
        if (running := self._running) is not None and running.lease.task_id == task_id:
            running.cancelled = True

    def _fail_and_exit(self, running: RunningTask, reason: FailureReason) -> None:
        """Fails the task and exits the process: nothing else can stop a thread inside a decoder."""
        try:
            if self._handler is not None and self._running is running:
                self._fail(self._handler, running.lease, reason)
        except Exception:
            logger.exception("task could not be given up; the next worker does", task=running.lease.task_id)
        finally:
            os._exit(1)

    def _watch_stdin(self) -> None:
        while os.read(0, 1024):
            pass
        self._exit_now()

    def _exit_now(self) -> None:
        """Exits the process at once; the task returns to the queue and the attempt does not count."""
        self.stop()  # stops the handler too: the next server may start the task before this process has exited
        if (running := self._running) is not None:
            releasing = threading.Thread(target=self._queue.release, args=(running.lease,), daemon=True)
            releasing.start()
            releasing.join(RELEASE_TIMEOUT_S)
        os._exit(1)


def run_worker(heartbeat: HeartbeatPipe) -> None:
    """Runs a worker with the configuration from standard input."""
    config = WorkerConfig.from_line(_line(0))
    configure_logs(f"worker {config.name}")
    configure_tracing(config.settings, "worker")
    limit_blas(config.settings.worker_threads or threads_per_worker(config.settings.workers, cores()))
    queue = open_queue(Database.open(config.settings), abilities=Abilities.of(config.settings))
    worker = Worker(config, queue, heartbeat)

    def on_term(number: int, frame: FrameType | None) -> None:
        worker.stop()

    signal.signal(signal.SIGTERM, on_term)
    if hasattr(os, "nice"):
        os.nice(NICE_INCREMENT)  # requests have priority
    worker.run()
    shutdown_tracing()


def _line(file: int) -> bytes:
    """Reads one line from an unbuffered file, and nothing beyond it."""
    line = b""
    while not line.endswith(b"\n"):
        if not (more := os.read(file, 1)):
            os._exit(1)
        line += more
    return line
