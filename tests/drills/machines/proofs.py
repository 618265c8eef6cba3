"""What must hold once the machines are left in peace."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from sqlalchemy import func, select, text

from stemwright.database import tables
from stemwright.service.task import ACTIVE_STATES, Task, load_task
from tests.drills.machines.customers import Wish
from tests.drills.machines.installation import Installation
from tests.drills.proofs import Digests, digests, prove_callbacks, prove_files, prove_ledger
from tests.drills.receiver import Receiver

TASK_SUCCEEDED = "task succeeded"


def unfinished(installation: Installation) -> int:
    """How many tasks have not ended."""
    with installation.service.database.read() as session:
        row = tables.Task
        return session.scalar(select(func.count()).where(row.state.in_(ACTIVE_STATES))) or 0


def all_tasks(installation: Installation) -> dict[str, Task]:
    """All tasks there are, by id; those too whose ids no customer saw."""
    with installation.service.database.read() as session:
        loaded = [load_task(session, found) for found in session.scalars(select(tables.Task.id))]
    return {task.id: task for task in loaded if task is not None}


def stems_of(installation: Installation, tasks: Iterable[Task]) -> dict[str, Digests]:
    """The stems of tasks that succeeded, by the digest of their song."""
    songs = _songs(installation)
    return {songs[task.track_id]: digests(task) for task in tasks}


def losses(
    installation: Installation, placed: Mapping[str, Wish], receiver: Receiver, calm: Mapping[str, Digests]
) -> list[str]:
    """What was lost, in sentences; empty is what a drill is to find.

    Args:
        placed: what customers were promised.
        calm: stems by song, from a calm run.
    """
    service, tasks = installation.service, all_tasks(installation)
    proofs: dict[str, Callable[[], None]] = {
        "orders": lambda: _prove_orders(placed, tasks),
        "ends": lambda: _prove_ends(installation, tasks),
        "queue": lambda: _prove_queue(installation),
        "credits": lambda: _prove_credits(installation, tasks),
        "callbacks": lambda: prove_callbacks(service, tasks, receiver),
        "files": lambda: prove_files(service, tasks.values()),
        "stems": lambda: _prove_stems(installation, tasks, calm),
    }
    found = []
    for name, prove in proofs.items():
        try:
            prove()
        except AssertionError as error:
            found.append(f"{name}: {error}")
    return found


def told(installation: Installation, *events: str) -> list[int]:
    """How often the workers' logs have each of these events."""
    found = Counter(entry["event"] for host in installation.workers for entry in _entries(host.log))
    return [found[event] for event in events]


def unexpected(logs: Iterable[Path]) -> Counter[str]:
    """What the processes' logs have of errors that nobody expected, and how often."""
    return Counter(
        f"{entry['event']}: {entry['exception'].strip().splitlines()[-1]}"
        for log in logs
        for entry in _entries(log)
        if entry.get("exception")
    )


def _prove_orders(placed: Mapping[str, Wish], tasks: Mapping[str, Task]) -> None:
    missing = placed.keys() - tasks.keys()
    assert not missing, f"{len(missing)} accepted tasks are gone"
    failed = [task for task in tasks.values() if task.state != "succeeded"]
    reasons = Counter(f"{task.state}, {task.error_message}" for task in failed)
    assert not failed, f"{len(failed)} tasks did not succeed: {dict(reasons)}"


def _prove_ends(installation: Installation, tasks: Mapping[str, Task]) -> None:
    told: dict[str, list[str]] = defaultdict(list)
    for host in installation.workers:
        for entry in _entries(host.log):
            if entry["event"] == TASK_SUCCEEDED:
                told[entry["task"]].append(host.name)
    twice = {task_id[:8]: hosts for task_id, hosts in told.items() if len(hosts) > 1}
    assert not twice, f"tasks ended twice: {twice}"
    assert told.keys() <= tasks.keys(), "a task ended that there is not"


def _prove_queue(installation: Installation) -> None:
    with installation.service.database.read() as session:
        jobs = session.scalar(text("SELECT count(*) FROM procrastinate_jobs"))
        parts = session.scalar(select(func.count()).select_from(tables.WorkingPart))
    assert jobs == 0, f"{jobs} jobs are left in the queue"
    assert parts == 0, f"{parts} parts of working copies are left"


def _prove_credits(installation: Installation, tasks: Mapping[str, Task]) -> None:
    names = {row: name for row, name in _accounts(installation).items() if name != "operator"}
    for account_id, name in names.items():
        of_account = {task.id: task for task in tasks.values() if task.account_id == account_id}
        prove_ledger(installation.service, of_account, name)


def _prove_stems(installation: Installation, tasks: Mapping[str, Task], calm: Mapping[str, Digests]) -> None:
    songs = _songs(installation)
    succeeded = [task for task in tasks.values() if task.state == "succeeded"]
    other = [task.id[:8] for task in succeeded if digests(task) != calm[songs[task.track_id]]]
    assert not other, f"{len(other)} tasks have other stems than in a calm run: {other}"


def _accounts(installation: Installation) -> dict[str, str]:
    with installation.service.database.read() as session:
        return {row.id: row.name for row in session.execute(select(tables.Account.id, tables.Account.name))}


def _songs(installation: Installation) -> dict[str, str]:
    """The digest of the song of each track."""
    with installation.service.database.read() as session:
        rows = session.execute(select(tables.Track.id, tables.Track.blob))
        return {row.id: row.blob for row in rows if row.blob is not None}


def _entries(log: Path) -> Iterable[dict[str, str]]:
    for line in log.read_text(errors="replace").splitlines():
        if line.startswith("{"):
            try:
                yield json.loads(line)
            except json.JSONDecodeError:
                continue  # its process was killed in the middle of a line
