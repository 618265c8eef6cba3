"""Progress of a running task, and its cancellation."""

from __future__ import annotations

import time

from stemwright.errors import CancelledError
from stemwright.jobs.handler import TaskContext
from stemwright.jobs.queue import Lease
from stemwright.service.worker_tasks import WorkerTasks
from stemwright.storage.blob_writer import BlobWriter

REPORT_INTERVAL_S = 1.0
"""Interval in seconds between progress updates and cancellation checks."""


class ProgressReporter:
    """Reports the progress of a task and checks whether it should continue."""

    def __init__(self, worker_tasks: WorkerTasks, lease: Lease, context: TaskContext) -> None:
        self._worker_tasks = worker_tasks
        self._lease = lease
        self._context = context
        self._stage = ""
        self._reported_at = 0.0
        self._may_continue = True

    def report(self, stage: str, fraction: float | None) -> None:
        """Reports progress; may be called at any rate.

        Raises:
            CancelledError: the task must stop.
        """
        self._context.advance()
        now = time.monotonic()
        if stage != self._stage or now - self._reported_at >= REPORT_INTERVAL_S:
            self._stage, self._reported_at = stage, now
            self._may_continue = self._worker_tasks.progress(self._lease.task_id, self._lease.token, stage, fraction)
        if self.should_stop():
            raise CancelledError("The task was cancelled, or another worker has it.")

    def should_stop(self) -> bool:
        """Whether to stop: the task was cancelled, another worker holds it, or this worker is shutting down."""
        return not self._may_continue or self._context.is_cancelled() or self._context.should_stop()


class ReportingWriter:
    """Writes a song in pieces and stops when its task does."""

    def __init__(self, writer: BlobWriter, reporter: ProgressReporter) -> None:
        self._writer = writer
        self._reporter = reporter

    def write(self, data: bytes, /) -> None:
        """Writes a piece."""
        self._reporter.report("fetching", None)
        self._writer.write(data)
