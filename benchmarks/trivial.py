"""A handler of tasks that separates nothing: what is measured with it is the server."""

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


class TrivialHandler(Handler):
    """Ends each task at once, with small files for stems."""

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
    """Works on each task until it is told to stop, and notes progress once a second, as a worker with a long song does."""

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


def endless(settings: Settings) -> Handler:
    """The factory of the handler that does not come to an end."""
    return EndlessHandler(Service.open(settings))


def handler(settings: Settings) -> Handler:
    """The factory that workers are told of."""
    return TrivialHandler(Service.open(settings))
