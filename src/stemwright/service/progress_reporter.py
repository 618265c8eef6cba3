"""What a task that is worked on tells, and what it learns meanwhile."""

from __future__ import annotations

import time

from stemwright.errors import CancelledError
from stemwright.jobs.handler import TaskContext
from stemwright.jobs.queue import Lease
from stemwright.service.worker_tasks import WorkerTasks
from stemwright.storage.blob_writer import BlobWriter

REPORT_INTERVAL_S = 1.0
"""How often progress is written down, and the task asked whether it was cancelled."""


class ProgressReporter:
    """Tells how far a task is, and learns whether it goes on."""

    def __init__(self, worker_tasks: WorkerTasks, lease: Lease, context: TaskContext) -> None:
        self._worker_tasks = worker_tasks
        self._lease = lease
        self._context = context
        self._stage = ""
        self._reported_at = 0.0
        self._may_continue = True

    def report(self, stage: str, fraction: float | None) -> None:
        """Says how far it is, as often as one likes.

        Raises:
            CancelledError: the task is not to go on.
        """
        self._context.advance()
        now = time.monotonic()
        if stage != self._stage or now - self._reported_at >= REPORT_INTERVAL_S:
            self._stage, self._reported_at = stage, now
            self._may_continue = self._worker_tasks.progress(self._lease.task_id, self._lease.token, stage, fraction)
        if self.should_stop():
            raise CancelledError("The task is not to go on.")

    def should_stop(self) -> bool:
        """Whether the task is not to go on: it was cancelled, or is another's, or the worker is to end."""
        return not self._may_continue or self._context.should_stop()


class ReportingWriter:
    """Takes a song piece by piece for as long as its task goes on."""

    def __init__(self, writer: BlobWriter, reporter: ProgressReporter) -> None:
        self._writer = writer
        self._reporter = reporter

    def write(self, data: bytes, /) -> None:
        """Takes a piece."""
        self._reporter.report("fetching", None)
        self._writer.write(data)
