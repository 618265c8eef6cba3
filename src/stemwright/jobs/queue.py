"""The queue of tasks: who may work on what, and for how long."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.orm import Session


@dataclass(frozen=True)
class Lease:
    """The right to work on a task, until another's lease takes its place.

    Attributes:
        task_id: the task.
        token: proof of this lease: whatever ends the task names it, and an older one ends nothing.
        attempt: 1 the first time that the task is begun; lost workers count, leases given back do not.
    """

    task_id: str
    token: str
    attempt: int


class Queue(Protocol):
    """Tasks that wait or are worked on, at least once each. Threads and processes may share one."""

    def enqueue(self, session: Session, task_id: str, account_id: str, priority: int) -> None:
        """Adds a task within the transaction that makes it; higher priorities go first."""

    def remove(self, session: Session, task_id: str) -> None:
        """Takes a task out within the transaction that ends it; its lease, if any, is over."""

    def claim(self, worker: str, lease_s: float) -> Lease | None:
        """Leases the next task to a worker for ``lease_s`` seconds; None if no task is waiting."""

    def extend(self, lease: Lease, lease_s: float) -> bool:
        """Holds a lease for ``lease_s`` seconds from now; False where it is over, so that its holder must stop."""

    def release(self, lease: Lease) -> None:
        """Gives a task back, as if it had not been begun."""

    def complete(self, lease: Lease) -> None:
        """Removes a finished task from the queue."""

    def release_worker(self, worker: str, *, counts: bool = True) -> None:
        """Ends the leases of a worker that died; ``local`` stands for ``local/0`` and all others below it.

        Args:
            counts: whether the attempts count; not where the worker was ended and its task had no part in that.
        """

    def depth(self) -> int:
        """Number of waiting tasks."""
