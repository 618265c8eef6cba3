"""What a task that is worked on tells, and what it learns meanwhile."""

from __future__ import annotations

import time

from stemwright.errors import CancelledError
from stemwright.jobs.handler import Control
from stemwright.jobs.queue import Lease
from stemwright.service.worker_tasks import WorkerTasks
from stemwright.storage.blob_writer import BlobWriter

NOTE_EVERY_S = 1.0
"""How often progress is written down, and the task asked whether it was cancelled."""


class ProgressReporter:
    """Tells how far a task is, and learns whether it goes on."""

    def __init__(self, work: WorkerTasks, lease: Lease, control: Control) -> None:
        self._work = work
        self._lease = lease
        self._control = control
        self._stage = ""
        self._noted_at = 0.0
        self._goes_on = True

    def report(self, stage: str, fraction: float | None) -> None:
        """Says how far it is, as often as one likes.

        Raises:
            CancelledError: the task is not to go on.
        """
        self._control.advance()
        now = time.monotonic()
        if stage != self._stage or now - self._noted_at >= NOTE_EVERY_S:
            self._stage, self._noted_at = stage, now
            self._goes_on = self._work.progress(self._lease.task_id, self._lease.token, stage, fraction)
        if self.is_stopped():
            raise CancelledError("The task is not to go on.")

    def is_stopped(self) -> bool:
        """Whether the task is not to go on: it was cancelled, or is another's, or the worker is to end."""
        return not self._goes_on or self._control.should_stop()


class ReportingWriter:
    """Takes a song piece by piece for as long as its task goes on."""

    def __init__(self, writer: BlobWriter, reporter: ProgressReporter) -> None:
        self._writer = writer
        self._reporter = reporter

    def write(self, data: bytes, /) -> None:
        """Takes a piece."""
        self._reporter.report("fetching", None)
        self._writer.write(data)
