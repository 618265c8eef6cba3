"""Task queue: leases of tasks to workers."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Literal, Protocol

from sqlalchemy.orm import Session

from stemwright.cpu_memory_limits import memory_limit, memory_per_worker
from stemwright.settings import Settings

QueueName = Literal["separation", "conversion"]

QUEUES: tuple[QueueName, ...] = ("separation", "conversion")
"""Which kinds of tasks wait apart; a conversion to WAV needs no model."""


@dataclass(frozen=True)
class Order:
    """A task that waits, as far as the queue must know it.

    Attributes:
        queue: its kind.
        account_id: accounts take turns.
        plan: the plan that its worker must have; empty: any worker can run it.
        priority: higher ones first, within the account.
    """

    task_id: str
    account_id: str
    queue: QueueName = "separation"
    plan: str = ""
    priority: int = 0


@dataclass(frozen=True)
class Abilities:
    """What a worker can do.

    Attributes:
        queues: kinds of tasks.
        plans: plans that it can run; None: whatever is ordered.
        device: ``cpu``, ``cuda:0`` and so on.
        memory_mb: memory for a task, in MB.
    """

    queues: tuple[str, ...] = QUEUES
    plans: tuple[str, ...] | None = None
    device: str = "auto"
    memory_mb: int = 0

    @classmethod
    def of(cls, settings: Settings) -> Abilities:
        """The abilities of a worker with these settings."""
        memory_mb = int(task_memory_bytes(settings) / 1e6)
        return cls(settings.worker_queues, settings.worker_plans or None, settings.device, memory_mb)


def task_memory_bytes(settings: Settings) -> float:
    """The memory that a task of one worker may take, in bytes; above it the task fails."""
    return memory_per_worker(settings.worker_memory_mb * 1e6, settings.workers, memory_limit())


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
    """Waiting and running tasks; each runs at least once. Thread-safe and process-safe.

    Attributes:
        is_local: whether all workers are on this machine, so that their supervisor knows of each death at once.
        poll_s: how often an idle worker should ask, in seconds.
    """

    is_local: bool
    poll_s: float

    def enqueue(self, session: Session, order: Order) -> None:
        """Adds a task in the transaction that creates it."""

    def remove(self, session: Session, task_id: str) -> None:
        """Removes a task in the transaction that ends it; its lease, if any, becomes invalid."""

    def holds(self, session: Session, task_id: str, token: str) -> bool:
        """Whether the token is that of the task's lease. It stays so until the transaction ends."""

    def request_cancel(self, session: Session, task_id: str) -> bool:
        """Tells the worker that holds a task to stop, once the transaction is committed.

        Returns:
            False if no worker holds the task; none takes it before the transaction ends.
        """

    def listen(self, on_waiting: Callable[[], None], on_cancel: Callable[[str], None]) -> Callable[[], None]:
        """Calls back from another thread: a task waits; the task with this id, which a worker holds, is cancelled.

        A queue that cannot tell does nothing: its workers ask.

        Returns:
            A function that ends it.
        """

    def claim(self, worker: str, lease_s: float) -> Lease | None:
        """Leases the next task to a worker for ``lease_s`` seconds; None if no task is waiting."""

    def extend(self, lease: Lease, lease_s: float) -> bool:
        """Extends a lease to ``lease_s`` seconds from now; False if it is no longer valid: the holder must stop."""

    def keep_alive(self, workers: Collection[str]) -> None:
        """Extends the leases of workers, as far as they are still valid."""

    def release(self, lease: Lease) -> None:
        """Returns a task to the queue without counting the attempt."""

    def complete(self, lease: Lease) -> None:
        """Removes a finished task from the queue."""

    def release_worker(self, worker: str, *, counts: bool = True) -> list[str]:
        """Ends the leases of a dead worker, and returns the ids of their tasks.

        ``local`` includes ``local/0`` and all others below it.

        Args:
            worker: its name.
            counts: whether the attempts count; False if the worker was stopped for a reason unrelated to its task.
        """

    def depth(self) -> int:
        """Returns the number of waiting tasks."""
