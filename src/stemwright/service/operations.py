"""What an operator sees of the whole server: counts, tasks of all accounts, throughput, maintenance."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

from sqlalchemy import and_, func, or_, select

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.service import server_state
from stemwright.service.clock import Clock
from stemwright.service.errors import NotFound
from stemwright.service.submissions import MAINTENANCE
from stemwright.service.task import Task, TaskState, task_from_row

HOUR_S = 3600.0


@dataclass(frozen=True)
class Totals:
    """Counts of the whole server.

    Attributes:
        tasks: those that are kept, by state.
        stored_bytes: size of all files in the store.
    """

    tasks: dict[str, int]
    accounts: int
    tracks: int
    stored_bytes: int


@dataclass
class Work:
    """What was finished between two times.

    Attributes:
        begins_at: seconds since 1970.
        song_s: length of the songs that were separated, without those whose stems were there already.
        work_s: time that their tasks took in workers.
    """

    begins_at: float
    succeeded: int = field(default=0)
    failed: int = field(default=0)
    song_s: float = field(default=0.0)
    work_s: float = field(default=0.0)


class Operations:
    """Queries of operators. They see all accounts."""

    def __init__(self, database: Database, clock: Clock = time.time) -> None:
        self._database = database
        self._clock = clock

    def totals(self) -> Totals:
        """Returns counts of the whole server."""
        with self._database.read() as session:
            states = session.execute(select(tables.Task.state, func.count()).group_by(tables.Task.state)).all()
            return Totals(
                tasks={state: count for state, count in states},  # noqa: C416  # rows are Row, not tuples, to mypy
                accounts=session.scalar(select(func.count()).select_from(tables.Account)) or 0,
                tracks=session.scalar(select(func.count()).select_from(tables.Track)) or 0,
                stored_bytes=int(session.scalar(select(func.coalesce(func.sum(tables.Blob.size_bytes), 0))) or 0),
            )

    def tasks(
        self, *, state: TaskState | None = None, after: str | None = None, limit: int = 20
    ) -> list[tuple[Task, str]]:
        """Returns tasks of all accounts with the names of their accounts, newest first, after the task ``after``.

        Raises:
            NotFound: there is no task ``after`` any more.
        """
        row = tables.Task
        query = select(row, tables.Account.name).join(tables.Account, tables.Account.id == row.account_id)
        if state:
            query = query.where(row.state == state)
        with self._database.read() as session:
            if after:
                last = session.get(row, after)
                if last is None:
                    raise NotFound("The task after which the page starts no longer exists; start from the first page.")
                earlier = and_(row.created_at == last.created_at, row.id < after)
                query = query.where(or_(row.created_at < last.created_at, earlier))
            found = session.execute(query.order_by(row.created_at.desc(), row.id.desc()).limit(limit))
            return [(task_from_row(session, task), account) for task, account in found]

    def throughput(self, n_hours: int, step_hours: int) -> list[Work]:
        """Returns what was finished in the last hours, in steps; the last step ends with the current hour."""
        step_s = step_hours * HOUR_S
        ends_at = (self._clock() // HOUR_S + 1) * HOUR_S
        n_steps = -(-n_hours // step_hours)
        begins_at = ends_at - n_steps * step_s
        steps = [Work(begins_at + number * step_s) for number in range(n_steps)]
        row = tables.Task
        columns = select(row.state, row.seconds, row.started_at, row.ended_at, row.cache_key)
        query = columns.where(row.state.in_(("succeeded", "failed")), row.ended_at >= begins_at, row.ended_at < ends_at)
        seen: set[str] = set()
        with self._database.read() as session:
            for state, seconds, started_at, ended_at, cache_key in session.execute(query.order_by(row.ended_at)):
                assert ended_at is not None, "the query leaves out tasks that have not ended"
                step = steps[min(n_steps - 1, int((ended_at - begins_at) // step_s))]
                if state == "failed":
                    step.failed += 1
                    continue
                step.succeeded += 1
                if started_at is not None and seconds and cache_key not in seen:
                    step.song_s += seconds
                    step.work_s += max(0.0, ended_at - started_at)
                if cache_key is not None:
                    seen.add(cache_key)  # the same request again takes no work
        return steps

    def is_under_maintenance(self) -> bool:
        """Whether new tasks are refused."""
        return server_state.get(self._database, MAINTENANCE) == "on"

    def set_maintenance(self, *, on: bool) -> None:
        """Refuses new tasks, or accepts them again."""
        with self._database.write() as session:
            server_state.put(session, MAINTENANCE, "on" if on else "off")
