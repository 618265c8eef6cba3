"""Task queue: leases of tasks to workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from sqlalchemy.orm import Session


@dataclass(frozen=True)
class Lease:
    """The right to work on a task, until the lease is replaced.

    Attributes:
        task_id: the task.
        token: proof of this lease, required to end the task; an old token is rejected.
        attempt: 1 for the first attempt; attempts lost with a worker count, released leases do not.
    """

    task_id: str
    token: str
    attempt: int


class Queue(Protocol):
    """Waiting and running tasks; each runs at least once. Thread-safe and process-safe."""

    def enqueue(self, session: Session, task_id: str, account_id: str, priority: int) -> None:
        """Adds a task in the transaction that creates it; higher priorities go first."""

    def remove(self, session: Session, task_id: str) -> None:
        """Removes a task in the transaction that ends it; its lease, if any, becomes invalid."""

    def claim(self, worker: str, lease_s: float) -> Lease | None:
        """Leases the next task to a worker for ``lease_s`` seconds; None if no task is waiting."""

    def extend(self, lease: Lease, lease_s: float) -> bool:
        """Extends a lease to ``lease_s`` seconds from now; False if it is no longer valid: the holder must stop."""

    def release(self, lease: Lease) -> None:
        """Returns a task to the queue without counting the attempt."""

    def complete(self, lease: Lease) -> None:
        """Removes a finished task from the queue."""

    def release_worker(self, worker: str, *, counts: bool = True) -> list[str]:
        """Ends the leases of a dead worker, and returns the ids of their tasks.

        ``local`` includes ``local/0`` and all others below it.

        Args:
            counts: whether the attempts count; False if the worker was stopped for a reason unrelated to its task.
        """

    def depth(self) -> int:
        """Returns the number of waiting tasks."""
