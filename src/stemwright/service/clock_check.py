"""Checks the clock before retention deletes anything.

A clock that jumps by weeks (wrong time server, restored virtual machine) must not delete weeks of files at once.
The clock is compared with a monotonic clock, and at startup with the newest time in the database.
"""

from __future__ import annotations

import logging
import threading
import time
from dataclasses import dataclass

from sqlalchemy import func, select

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.service import server_state
from stemwright.service.blobs import GRACE_PERIOD_S
from stemwright.service.clock import Clock, steady_time

JUMP_THRESHOLD_S = 60.0
"""A larger difference is a jump, not a correction."""

MAX_DOWNTIME_S = 86_400.0
"""A longer gap is downtime or a clock jump; the database alone cannot show which."""

CONFIRM_AFTER_S = GRACE_PERIOD_S
"""How long the clock must run without another jump. By then files being stored during the jump are complete."""

SWEPT_AT = "swept_at"
"""Name of the fact that holds the time of the last sweep."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Jump:
    since: float  # by the steady clock
    offset: float  # clock minus steady clock


class ClockCheck:
    """Checks one clock. Called once per sweep."""

    def __init__(self, database: Database, clock: Clock = time.time, steady: Clock = steady_time) -> None:
        self._database = database
        self._clock = clock
        self._steady = steady
        self._offset = clock() - steady()
        self._started_at = clock()
        self._compared = False
        self._jump: _Jump | None = None
        self._lock = threading.Lock()

    def may_delete(self) -> bool:
        """Whether files expired by this clock may be deleted now. Each call reads both clocks."""
        with self._lock:
            self._compare_with_database()
            steady = self._steady()
            offset = self._clock() - steady
            ahead = offset - self._offset
            if ahead > JUMP_THRESHOLD_S:
                if self._jump is None or abs(offset - self._jump.offset) > JUMP_THRESHOLD_S:
                    self._jump = _Jump(steady, offset)
                    _log.warning(
                        "the clock is %.1f hours ahead of what the server expects; nothing is deleted for %.0f minutes: "
                        "set the clock right, if it is wrong",
                        ahead / 3600,
                        CONFIRM_AFTER_S / 60,
                    )
                if steady - self._jump.since < CONFIRM_AFTER_S:
                    return False
            self._offset, self._jump = offset, None
            return True

    def record_sweep(self) -> None:
        """Records the time of a sweep, for the check at the next startup."""
        with self._database.write() as session:
            server_state.put(session, SWEPT_AT, repr(self._clock()))

    def _compare_with_database(self) -> None:
        """Compares the startup time with the newest time in the database. Runs once."""
        if self._compared:
            return
        newest = self._newest()
        if newest is not None and self._started_at - newest > MAX_DOWNTIME_S:
            self._offset -= self._started_at - newest
        self._compared = True

    def _newest(self) -> float | None:
        columns = (
            tables.Task.created_at,
            tables.Task.ended_at,
            tables.Track.created_at,
            tables.Upload.created_at,
            tables.ApiKey.created_at,
            tables.CreditEntry.created_at,
        )
        with self._database.read() as session:
            times = [session.scalar(select(func.max(column))) for column in columns]
            swept = session.get(tables.Fact, SWEPT_AT)
        if swept is not None:
            times.append(float(swept.value))
        return max((moment for moment in times if moment is not None), default=None)
