"""The process that works off the queue: one task at a time, and fit to be killed at any moment.

Four threads: the main one runs the handler; the pulse tells the supervisor that all is well, and ends what takes too much
memory or stands still; one extends the lease, for a database may keep it waiting; the last reads standard input, whose end
means that the server is gone.
"""

from __future__ import annotations

import base64
import logging
import os
import pickle
import signal
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

import psutil

from stemwright.cpu_memory_limits import cores, limit_blas, memory_limit
from stemwright.database.engine import Database
from stemwright.errors import StorageError
from stemwright.jobs.embedded import EmbeddedQueue
from stemwright.jobs.handler import Handler, Interrupted, Reason, load_factory
from stemwright.jobs.heartbeat_pipe import ENDED, READY, TICK_S, HeartbeatPipe
from stemwright.jobs.queue import Lease, Queue
from stemwright.settings import Settings

POLL_S = 0.25
"""How often an idle worker looks for a task."""

PAUSE_S = 2.0
"""How long a worker waits when the queue cannot be written."""

LONGEST_TICK_S = 1.0
"""The most that one beat of the pulse counts as time without progress: where it is rarer, the handler waits too."""

PATIENCE_S = 10.0
"""How long a handler may take to stop, when the worker is to end."""

FAREWELL_S = 10.0
"""How long a worker whose server is gone may take to give its task back."""

NICENESS = 5

QUOTA_SHARE = 0.85
"""Of a control group's memory that all workers may take together: the server has the rest."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class TaskOrder:
    """What a worker is told at its start.

    Attributes:
        name: whose leases these are, ``local/0``.
        handler: ``package.module:function``, the factory of its handler.
        stall_s: seconds without progress after which a task is given up.
    """

    name: str
    handler: str
    settings: Settings
    stall_s: float

    def to_line(self) -> bytes:
        """One line for the standard input of a worker; settings hold secrets, which no argument may show."""
        return base64.b64encode(pickle.dumps(self)) + b"\n"

    @classmethod
    def from_line(cls, line: bytes) -> TaskOrder:
        """The reverse of ``to_line``."""
        order: TaskOrder = pickle.loads(base64.b64decode(line))
        return order


class Hold:
    """A task in hand: the ``Control`` of its handler."""

    def __init__(self, worker: Worker, lease: Lease) -> None:
        self._worker = worker
        self.lease = lease
        self.lost = False
        self.extended_at = time.monotonic()
        self.still_s = 0.0

    def should_stop(self) -> bool:
        """See ``Control``."""
        return self.lost or self._worker.stops

    def advance(self) -> None:
        """See ``Control``."""
        self.still_s = 0.0


class Worker:
    """Takes tasks from a queue and has a handler work on them, until it is told to stop."""

    def __init__(self, order: TaskOrder, queue: Queue, pulse: HeartbeatPipe) -> None:
        self._order = order
        self._queue = queue
        self._pulse = pulse
        self._handler: Handler | None = None
        self._hold: Hold | None = None
        self._stopped_at: float | None = None
        self._owes = False  # a lease that is over, and that could not be given back
        self._process = psutil.Process()
        self._most_bytes = most_bytes(order.settings, memory_limit())

    @property
    def stops(self) -> bool:
        """Whether it is to end."""
        return self._stopped_at is not None

    def stop(self) -> None:
        """Lets it end as soon as the handler has stopped. Safe in a signal handler."""
        self._stopped_at = self._stopped_at or time.monotonic()

    def run(self) -> None:
        """Works until ``stop``; needs a main thread of its own."""
        threading.Thread(target=self._watch_server, name="server", daemon=True).start()
        threading.Thread(target=self._keep_lease, name="lease", daemon=True).start()
        self._pulse.on_tick = self._tick
        self._handler = load_factory(self._order.handler)(self._order.settings)
        self._pulse.state = READY
        self._pulse.tell(READY)
        while not self.stops:
            try:
                self._next(self._handler)
            except StorageError as error:  # the disk is full: a worker that died of it could do no better as a new one
                logger.error("worker %s waits: %s", self._order.name, error)
                time.sleep(PAUSE_S)

    def _next(self, handler: Handler) -> None:
        if self._owes:
            self._queue.release_worker(self._order.name)
            self._owes = False
        lease = self._queue.claim(self._order.name, self._order.settings.lease_s)
        if lease is None:
            time.sleep(POLL_S)
            return
        self._owes = True
        self._work(handler, lease)
        self._owes = False
        self._pulse.tell(ENDED)

    def _work(self, handler: Handler, lease: Lease) -> None:
        if lease.attempt > self._order.settings.attempts:
            self._give_up(handler, lease, "crashes")
            return
        self._hold = Hold(self, lease)
        try:
            handler.run(lease, self._hold)
        except Interrupted:
            self._queue.release(lease)
        except StorageError:  # the lease cannot be given back now either
            raise
        except Exception:
            logger.exception("task %s failed in a way nobody foresaw", lease.task_id)
            self._queue.release_worker(self._order.name)
        else:
            self._queue.complete(lease)
        finally:
            self._hold = None

    def _give_up(self, handler: Handler, lease: Lease, reason: Reason) -> None:
        logger.error("task %s is given up: %s", lease.task_id, reason)
        handler.gave_up(lease, reason)
        self._queue.complete(lease)

    def _tick(self, passed_s: float) -> None:
        if self._stopped_at is not None and time.monotonic() - self._stopped_at > PATIENCE_S:
            self._leave()
        if (hold := self._hold) is not None:
            self._check(hold, passed_s)

    def _check(self, hold: Hold, passed_s: float) -> None:
        if self._process.memory_info().rss > self._most_bytes:
            self._end_with(hold, "memory")
        hold.still_s += min(passed_s, LONGEST_TICK_S)
        if hold.still_s > self._order.stall_s:
            self._end_with(hold, "stall")

    def _keep_lease(self) -> None:
        while True:
            if (hold := self._hold) is not None:
                self._extend(hold)
            time.sleep(TICK_S)

    def _extend(self, hold: Hold) -> None:
        now = time.monotonic()
        if now - hold.extended_at > self._order.settings.lease_s / 3:
            hold.extended_at = now
            try:
                hold.lost = not self._queue.extend(hold.lease, self._order.settings.lease_s)
            except Exception:
                logger.exception("the lease of task %s could not be extended", hold.lease.task_id)

    def _end_with(self, hold: Hold, reason: Reason) -> None:
        """Ends the task and this process: nothing else stops a thread that is deep in a decoder."""
        try:
            if self._handler is not None and self._hold is hold:
                self._give_up(self._handler, hold.lease, reason)
        except Exception:
            logger.exception("task %s could not be given up; the next worker does", hold.lease.task_id)
        finally:
            os._exit(1)

    def _watch_server(self) -> None:
        while os.read(0, 1024):
            pass
        self._leave()

    def _leave(self) -> None:
        """Ends this process at once; the task goes back to the queue, for it has done nothing wrong."""
        self.stop()  # the handler too, at its next step: the next server may begin the task before this process is gone
        if (hold := self._hold) is not None:
            farewell = threading.Thread(target=self._queue.release, args=(hold.lease,), daemon=True)
            farewell.start()
            farewell.join(FAREWELL_S)
        os._exit(1)


def most_bytes(settings: Settings, limit_bytes: int | None) -> float:
    """Memory above which a worker's task is ended.

    Where a control group limits the memory it is less than the setting: at the limit the system would kill the worker, or
    the server, and the task would be begun again for nothing.
    """
    most = settings.worker_memory_mb * 1e6
    return most if limit_bytes is None else min(most, QUOTA_SHARE * limit_bytes / max(1, settings.workers))


def work(pulse: HeartbeatPipe) -> None:
    """Runs a worker on the order that comes on standard input."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    order = TaskOrder.from_line(_line(0))
    limit_blas(order.settings.worker_threads or cores())
    worker = Worker(order, EmbeddedQueue(_database(order.settings)), pulse)

    def on_term(number: int, frame: FrameType | None) -> None:
        worker.stop()

    signal.signal(signal.SIGTERM, on_term)
    if hasattr(os, "nice"):
        os.nice(NICENESS)  # requests are answered first
    worker.run()


def _line(file: int) -> bytes:
    """One line, and not a byte more, of an unbuffered file."""
    line = b""
    while not line.endswith(b"\n"):
        if not (more := os.read(file, 1)):
            os._exit(1)
        line += more
    return line


def _database(settings: Settings) -> Database:
    return Database(settings.database_url) if settings.database_url else Database.in_folder(Path(settings.data))
