"""Which callbacks are due, and which of several servers sends them."""

from __future__ import annotations

import time
from collections.abc import Collection

from sqlalchemy import ColumnElement, func, or_, select, update
from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.service.clock import Clock
from stemwright.settings import Settings

MAX_CONCURRENT_PER_ACCOUNT = 8

MAX_TIMEOUT_DOUBLINGS = 3
"""Maximum number of times the timeout is doubled from attempt to attempt."""

CLAIM_MARGIN_S = 60.0
"""How much longer than its attempt may take a server keeps a delivery, in seconds."""

DATABASE_NOW = func.extract("epoch", func.clock_timestamp())
"""PostgreSQL's clock: those of the servers may differ."""


class DueCallbacks:
    """Pending deliveries whose time has come. Thread-safe.

    A data folder has one server, which sends them all. Of several servers on PostgreSQL, one claims a delivery; the
    claim outlives its attempt. Only if that server dies does another repeat the delivery when the claim ends.
    """

    def __init__(self, database: Database, settings: Settings, clock: Clock = time.time) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock

    def take(self) -> list[str]:
        """Returns the ids of due deliveries that this server sends. On SQLite those under way are among them."""
        with self._database.read() as session:
            due = self._due(session)
            if self._database.is_sqlite or not due:
                return due
            row = tables.Delivery
            is_free: ColumnElement[bool] = or_(row.claimed_until.is_(None), row.claimed_until <= DATABASE_NOW)
            free = select(row.id).where(row.id.in_(due), row.state == "pending", is_free)
            if session.scalar(free.limit(1)) is None:
                return []
        doublings = func.least(row.attempt - 1, MAX_TIMEOUT_DOUBLINGS)
        claim_s = self._settings.callback_timeout_s * func.power(2, doublings) + CLAIM_MARGIN_S
        with self._database.write() as session:
            ids = list(session.scalars(free.with_for_update(skip_locked=True)))
            session.execute(
                update(row).where(row.id.in_(ids)).values(claimed_until=DATABASE_NOW + claim_s),
                execution_options={"synchronize_session": False},
            )
            return ids

    def give_back(self, ids: Collection[str]) -> None:
        """Ends the claims of deliveries that were taken and not sent."""
        if ids and not self._database.is_sqlite:
            row = tables.Delivery
            with self._database.write() as session:
                session.execute(update(row).where(row.id.in_(ids)).values(claimed_until=None))

    def _due(self, session: Session) -> list[str]:
        """Ids of each account's oldest due deliveries: slow receivers of one account must not block others."""
        now, row = self._clock(), tables.Delivery
        # A due time beyond the retry schedule, or a first attempt not yet due, means that the clock was set back.
        longest = max(self._settings.callback_retry_s, default=0.0)
        is_due: ColumnElement[bool] = or_(row.due_at <= now, row.due_at > now + longest, row.attempt == 1)
        place = func.row_number().over(partition_by=row.account_id, order_by=(row.due_at, row.id))
        ranked = select(row.id, place.label("place")).where(row.state == "pending", is_due).subquery()
        return list(session.scalars(select(ranked.c.id).where(ranked.c.place <= MAX_CONCURRENT_PER_ACCOUNT)))
