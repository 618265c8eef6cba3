"""Figures of all tasks, for operators. They come from the database, so every API server gives the same ones.

Each query reads an index, and only what waits, runs, or ended within ``WINDOW_S``; tasks that are merely kept cost
nothing.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.service.clock import Clock

WINDOW_S = 900.0
"""Tasks that ended, and callbacks that were given up, count for this many seconds."""


ENDED_STATES = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class PlanQueue:
    """The tasks of a plan that no worker has begun: how many, and for how many seconds the oldest has waited."""

    plan: str
    length: int
    oldest_s: float


@dataclass(frozen=True)
class PlanSpeed:
    """Tasks of a plan that succeeded within the window.

    Attributes:
        real_time_factor: seconds of song per second of separation; None for tasks that separated nothing (WAV).
    """

    plan: str
    tasks: int
    real_time_factor: float | None


@dataclass(frozen=True)
class Statistics:
    """The figures at one moment.

    Attributes:
        queues: by plan; empty where nothing waits.
        running: tasks that a worker has begun, also those that wait for another worker after theirs died.
        ended: tasks that ended within the window, by state.
        speeds: by plan.
        callbacks_due: callbacks whose time has come; callback_lag_s: how late the oldest of them is, in seconds.
        callbacks_dead: callbacks given up within the window.
    """

    queues: tuple[PlanQueue, ...]
    running: int
    ended: dict[str, int]
    speeds: tuple[PlanSpeed, ...]
    callbacks_due: int
    callback_lag_s: float
    callbacks_dead: int

    @property
    def waiting(self) -> int:
        """Tasks that no worker has begun, of all plans."""
        return sum(queue.length for queue in self.queues)


class TaskStatistics:
    """Reads the figures."""

    def __init__(self, database: Database, clock: Clock = time.time) -> None:
        self._database = database
        self._clock = clock

    def read(self) -> Statistics:
        """The figures now."""
        now = self._clock()
        task, delivery = tables.Task, tables.Delivery
        recent = task.state.in_(ENDED_STATES) & (task.ended_at > now - WINDOW_S)
        is_due = (delivery.state == "pending") & (delivery.due_at <= now)
        dead = select(func.count()).where(delivery.state == "dead", delivery.attempted_at > now - WINDOW_S)
        with self._database.read() as session:
            due, oldest_due = session.execute(select(func.count(), func.min(delivery.due_at)).where(is_due)).one()
            return Statistics(
                queues=_queues(session, now),
                running=session.scalar(select(func.count()).where(task.state == "running")) or 0,
                ended={
                    row.state: row.number
                    for row in session.execute(
                        select(task.state, func.count().label("number")).where(recent).group_by(task.state)
                    )
                },
                speeds=_speeds(session, now),
                callbacks_due=due,
                callback_lag_s=max(0.0, now - oldest_due) if oldest_due is not None else 0.0,
                callbacks_dead=session.scalar(dead) or 0,
            )


def _queues(session: Session, now: float) -> tuple[PlanQueue, ...]:
    task = tables.Task
    query = select(task.plan, func.count(), func.min(task.created_at)).where(task.state == "pending")
    rows = session.execute(query.group_by(task.plan).order_by(task.plan))
    return tuple(PlanQueue(plan, count, max(0.0, now - oldest)) for plan, count, oldest in rows)


def _speeds(session: Session, now: float) -> tuple[PlanSpeed, ...]:
    task = tables.Task
    elapsed = task.facts["elapsed_s"].as_float()
    song_s = func.sum(task.seconds).filter(elapsed > 0)
    query = select(task.plan, func.count(), song_s, func.sum(elapsed).filter(elapsed > 0)).where(
        task.ended_at > now - WINDOW_S, task.state == "succeeded"
    )
    return tuple(
        PlanSpeed(plan, count, song / separating if song and separating else None)
        for plan, count, song, separating in session.execute(query.group_by(task.plan).order_by(task.plan))
    )
