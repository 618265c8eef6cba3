"""Rate limit for new tasks where several servers share one database: the same sliding window, in a table."""

from __future__ import annotations

from sqlalchemy import delete, func, select

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.database.statements import lock_name
from stemwright.service.keys import Caller
from stemwright.service.rate_limits import rate_limited, window_of


class SharedRateLimiter:
    """Sliding windows per account, and per key with a limit of its own. Times are the database's: hosts may differ."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def acquire(self, caller: Caller, face: str, rate: str) -> None:
        """See ``RateLimiter``."""
        window = window_of(caller, face, rate)
        if window is None:
            return
        row, scope = tables.RateEvent, window.name
        with self._database.write() as session:
            lock_name(session, f"rate {scope}")
            now = float(session.scalar(select(func.extract("epoch", func.clock_timestamp()))) or 0.0)
            session.execute(delete(row).where(row.scope == scope, row.at <= now - window.seconds))
            # The oldest of the last COUNT: when it leaves the window, there is room for one more.
            newest = select(row.at).where(row.scope == scope).order_by(row.at.desc())
            oldest = session.scalar(newest.offset(window.count - 1).limit(1))
            if oldest is not None:
                raise rate_limited(oldest + window.seconds - now)
            session.add(row(scope=scope, at=now))
