"""The interface between a worker and the handler that runs its tasks."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Literal, Protocol, cast

from stemwright.jobs.queue import Lease
from stemwright.settings import Settings

FailureReason = Literal["crashes", "memory", "stall"]
"""Why a task is given up: its workers died too often, it took too much memory, or it made no progress."""


class TaskInterrupted(Exception):
    """Raised by a handler that stopped because ``TaskContext.should_stop`` said so: the task is taken up again later."""


class TaskContext(Protocol):
    """The worker, as its handler sees it."""

    def should_stop(self) -> bool:
        """Whether to raise ``TaskInterrupted`` soon: the worker is to end, or the task is another's now. Ask often."""

    def advance(self) -> None:
        """Reports progress. A task without progress for too long is failed."""


class Handler(Protocol):
    """Does the work. One is created per worker, so it can keep loaded models."""

    def run(self, lease: Lease, context: TaskContext) -> None:
        """Works on a task to its end, good or bad, and returns then: the task leaves the queue.

        Raises:
            TaskInterrupted: it stopped because the context asked it to.
            Exception: a fault of its own. The task is begun again, as after a crash.
        """

    def fail(self, lease: Lease, reason: FailureReason) -> None:
        """Ends a task badly. It may run in another thread than ``run``, while that still works on the task."""


HandlerFactory = Callable[[Settings], Handler]


def load_factory(name: str) -> HandlerFactory:
    """The factory that ``package.module:function`` names."""
    module, _, attribute = name.partition(":")
    return cast(HandlerFactory, getattr(importlib.import_module(module), attribute))
