"""A task handler that separates nothing, to measure the server alone."""

from __future__ import annotations

import time
from itertools import count

from stemwright.jobs.handler import FailureReason, Handler, TaskContext, TaskInterrupted
from stemwright.jobs.queue import Lease
from stemwright.service.ids import new_id
from stemwright.service.service import Service
from stemwright.service.task import Stem
from stemwright.settings import Settings
from stemwright.stems import select

SILENCE = bytes(1000)
PACE_S = 0.1


class TrivialHandler(Handler):
    """Completes each task immediately, with small files as stems."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def run(self, lease: Lease, context: TaskContext) -> None:
        """See ``Handler``."""
        task = self._service.worker_tasks.begin(lease.task_id, lease.token)
        if task is None:
            return
        with self._service.store.writer() as writer:
            writer.write(SILENCE)
            blob = writer.commit()
        stems = [
            Stem(new_id(), name, position, blob.digest, task.format, blob.size_bytes, 1.0, True, 1.0, None, None)
            for position, name in enumerate(select(task.stems_asked).names)
        ]
        self._service.worker_tasks.succeed(lease.task_id, lease.token, stems, seconds=1.0, cache_key=None, facts={})

    def fail(self, lease: Lease, reason: FailureReason) -> None:
        """See ``Handler``."""
        self._service.worker_tasks.fail(lease.task_id, lease.token, 500, reason)


class EndlessHandler(TrivialHandler):
    """Runs each task until it is cancelled, with progress once a second, like a worker with a long song."""

    def run(self, lease: Lease, context: TaskContext) -> None:
        """See ``Handler``."""
        if self._service.worker_tasks.begin(lease.task_id, lease.token) is None:
            return
        for step in count(1):
            if context.should_stop():
                raise TaskInterrupted
            context.advance()
            self._service.worker_tasks.progress(lease.task_id, lease.token, "separating", 1 - 1 / step)
            time.sleep(1)


class PacedHandler(TrivialHandler):
    """Takes ``PACE_S`` for each task, as if a device computed meanwhile."""

    def run(self, lease: Lease, context: TaskContext) -> None:
        """See ``Handler``."""
        time.sleep(PACE_S)
        super().run(lease, context)


def paced(settings: Settings) -> Handler:
    """Creates the paced handler."""
    return PacedHandler(Service.open(settings))


def endless(settings: Settings) -> Handler:
    """Creates the endless handler."""
    return EndlessHandler(Service.open(settings))


def handler(settings: Settings) -> Handler:
    """Creates the trivial handler."""
    return TrivialHandler(Service.open(settings))
