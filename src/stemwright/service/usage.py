"""What an account used, day by day."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import select

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.service.clock import Clock
from stemwright.service.tracks import DAY_S


@dataclass
class DayUsage:
    """One day, in UTC.

    Attributes:
        credits: hundredths charged that day, less those given back that day; negative if more were given back.
        separations: tasks that were accepted that day and are still kept.
        seconds: length of the songs of those that succeeded.
    """

    day: date
    credits: int = field(default=0)
    separations: int = field(default=0)
    seconds: float = field(default=0.0)


class Usage:
    """Usage of all accounts."""

    def __init__(self, database: Database, clock: Clock = time.time) -> None:
        self._database = database
        self._clock = clock

    def by_day(self, account_id: str, n_days: int) -> list[DayUsage]:
        """Returns the last days, today last, days without use included."""
        today = _day(self._clock())
        first = today - timedelta(days=n_days - 1)
        days = {first + timedelta(days=number): DayUsage(first + timedelta(days=number)) for number in range(n_days)}
        since = datetime(first.year, first.month, first.day, tzinfo=UTC).timestamp()
        until = since + n_days * DAY_S
        entry, task = tables.CreditEntry, tables.Task
        with self._database.read() as session:
            for created_at, amount in session.execute(
                select(entry.created_at, entry.amount).where(
                    entry.account_id == account_id,
                    entry.reason.in_(("charge", "refund")),
                    entry.created_at >= since,
                    entry.created_at < until,
                )
            ):
                days[_day(created_at)].credits -= amount
            for created_at, state, seconds in session.execute(
                select(task.created_at, task.state, task.seconds).where(
                    task.account_id == account_id, task.created_at >= since, task.created_at < until
                )
            ):
                used = days[_day(created_at)]
                used.separations += 1
                used.seconds += (seconds or 0.0) if state == "succeeded" else 0.0
        return list(days.values())


def _day(seconds: float) -> date:
    return datetime.fromtimestamp(seconds, UTC).date()
