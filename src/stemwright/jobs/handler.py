"""Interface between a worker and its task handler."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Literal, Protocol, cast

from stemwright.jobs.queue import Lease
from stemwright.settings import Settings

FailureReason = Literal["crashes", "memory", "stall"]
"""Why a task fails: its workers died too often, it used too much memory, or it made no progress."""


class TaskInterrupted(Exception):
    """Raised by a handler that stopped because of ``TaskContext.should_stop``: the task is resumed later."""


class TaskPostponed(TaskInterrupted):
    """Raised by a handler that cannot work for now, for a reason that is not the task's: it is resumed later."""


class TaskContext(Protocol):
    """Worker interface for the handler."""

    def should_stop(self) -> bool:
        """Whether to raise ``TaskInterrupted`` soon: worker shutting down, or lease lost. Call it often."""

    def is_cancelled(self) -> bool:
        """Whether the client has cancelled the task, as far as the queue has told; the handler then ends it."""

    def advance(self) -> None:
        """Reports progress. A task without progress for too long fails."""


class Handler(Protocol):
    """Runs tasks. One is created per worker, so it can keep models loaded."""

    def run(self, lease: Lease, context: TaskContext) -> None:
        """Runs a task to its end, success or failure, then returns: the task is removed from the queue.

        Raises:
            TaskInterrupted: stopped at the request of the context.
            TaskPostponed: something that it needs cannot be used.
            Exception: an internal error. The task is restarted, as after a crash.
        """

    def fail(self, lease: Lease, reason: FailureReason) -> None:
        """Marks a task as failed. May be called from another thread while ``run`` is still working on the task."""


HandlerFactory = Callable[[Settings], Handler]


def load_factory(name: str) -> HandlerFactory:
    """Loads the factory named ``package.module:function``."""
    module, _, attribute = name.partition(":")
    return cast(HandlerFactory, getattr(importlib.import_module(module), attribute))
