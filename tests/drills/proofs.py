"""What must hold after any accident, once the server has been started again."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Collection, Iterable
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile
from sqlalchemy import select

from stemwright.database import tables
from stemwright.service.service import Service
from stemwright.service.task import ACTIVE_STATES, Task, load_task
from stemwright.storage.store import Store
from tests.drills.receiver import Receiver
from tests.drills.tree import CREDITS, Tree
from tests.waiting import wait_until

Digests = dict[str, str]
"""Stem to SHA-256 of its file."""


def prove(tree: Tree, ids: Collection[str], receiver: Receiver) -> dict[str, Task]:
    """Waits for the end of all that was accepted, and proves that nothing was lost, half done or done twice.

    Args:
        tree: runs.
        ids: the tasks whose ids a client saw.
        receiver: where all callbacks go.

    Returns:
        All tasks, those too whose ids nobody saw.
    """
    service = tree.open()
    try:
        wait_until(lambda: not _under_way(service), "all tasks end")
        tasks = _tasks(service)
        assert set(ids) <= tasks.keys(), "an accepted task is lost"
        prove_ledger(service, tasks)
        prove_callbacks(service, tasks, receiver)
        prove_files(service, tasks.values())
        # the folder goes just after its task has ended
        wait_until(lambda: not any(tree.data.joinpath("work").iterdir()), "no working folder is left")
        assert service.queue.depth() == 0
        return tasks
    finally:
        service.close()


def digests(task: Task) -> Digests:
    """What a task that succeeded made."""
    assert task.state == "succeeded", (task.error_code, task.error_message)
    return {stem.name: stem.blob for stem in task.stems}


def prove_files(service: Service, tasks: Iterable[Task]) -> None:
    """Every stored file is whole, every one that a row names is there, and no half one has a final name."""
    stored = set(service.store.digests())
    for digest in stored:
        content = hashlib.sha256()
        for piece in service.store.read(digest):
            content.update(piece)
        assert content.hexdigest() == digest, "a file is not what its name says"
    for task in tasks:
        assert {stem.blob for stem in task.stems} <= stored, "a stem has no file"
    with service.database.read() as session:
        assert set(session.scalars(select(tables.Track.blob).where(tables.Track.blob.is_not(None)))) <= stored
        assert set(session.scalars(select(tables.Upload.blob).where(tables.Upload.blob.is_not(None)))) <= stored
        assert stored <= set(session.scalars(select(tables.Blob.digest))), "nobody would ever delete this file"


def prove_sum(store: Store, task: Task, song: Path) -> None:
    """The stems decode, and add up to the song's own integers."""
    total: np.ndarray[tuple[int, ...], np.dtype[np.int64]] | int = 0
    for stem in task.stems:
        samples, _ = soundfile.read(BytesIO(b"".join(store.read(stem.blob))), dtype="int16")
        total = total + samples.astype(np.int64)
    assert np.array_equal(total, soundfile.read(song, dtype="int16")[0])


def _under_way(service: Service) -> bool:
    with service.database.read() as session:
        return session.scalar(select(tables.Task.id).where(tables.Task.state.in_(ACTIVE_STATES)).limit(1)) is not None


def _tasks(service: Service) -> dict[str, Task]:
    with service.database.read() as session:
        loaded = [load_task(session, found) for found in session.scalars(select(tables.Task.id))]
        assert session.scalar(select(tables.Job.task_id).limit(1)) is None, "an ended task is still in the queue"
    return {task.id: task for task in loaded if task is not None}


def prove_ledger(service: Service, tasks: dict[str, Task], name: str = "alice") -> None:
    """Each task of an account is charged once, and a failed one given back once. It had ``CREDITS`` and no other tasks."""
    assert service.ledger.imbalance() == {}
    account = service.accounts.find(name)
    assert account is not None
    entries = Counter((e.task_id, e.reason, e.amount) for e in service.ledger.entries(account.id))
    wanted: Counter[tuple[str | None, str, int]] = Counter({(None, "grant", CREDITS): 1})
    for task in tasks.values():
        wanted[task.id, "charge", -task.price] += 1
        if task.state != "succeeded":
            wanted[task.id, "refund", task.price] += 1
    assert entries == wanted
    spent = sum(task.price for task in tasks.values() if task.state == "succeeded")
    assert service.ledger.balance(account.id) == CREDITS - spent


def prove_callbacks(service: Service, tasks: dict[str, Task], receiver: Receiver) -> None:
    """Each was told of at least once, and it is written down that it was."""
    called = [task for task in tasks.values() if task.callback_url]

    def delivered() -> bool:
        logs = [[d.state for d in service.callbacks.log(task.account_id, task.id)] for task in called]
        return all(log and log[-1] == "delivered" and log.count("delivered") == 1 for log in logs)

    wait_until(delivered, "all callbacks are delivered")
    assert all(receiver.arrived[task.id] >= 1 for task in called)
    assert receiver.arrived.keys() <= tasks.keys(), "somebody was called about a task that there is not"
