"""The right to sweep a store that several servers share: one has it at a time, another gets it when that one is gone."""

from __future__ import annotations

import time
import uuid

from sqlalchemy import or_, update
from sqlalchemy.exc import IntegrityError

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.service.clock import Clock

LEASE_S = 900.0
"""Longer than the pause between two sweeps, so that a server that runs keeps it."""

FACT = "sweep_lease"


class SweepLease:
    """One server's claim. The fact holds when it ends, padded so that texts compare as numbers do, and whose it is."""

    def __init__(self, database: Database, clock: Clock = time.time) -> None:
        self._database = database
        self._clock = clock
        self._holder = uuid.uuid4().hex

    def take(self) -> bool:
        """Takes it, or extends it; returns whether it is ours."""
        now = self._clock()
        try:
            with self._database.write() as session:
                if session.get(tables.Fact, FACT) is None:
                    session.add(tables.Fact(name=FACT, value=self._value(now + LEASE_S)))
                    return True
                fact = tables.Fact
                free = or_(fact.value < f"{now + 0.001:020.3f}", fact.value.like(f"% {self._holder}"))
                taken = update(fact).where(fact.name == FACT, free).values(value=self._value(now + LEASE_S))
                return session.connection().execute(taken).rowcount == 1
        except IntegrityError:  # another server was the first to add it
            return False

    def give_back(self) -> None:
        """Ends it, so that another server need not wait."""
        with self._database.write() as session:
            fact = tables.Fact
            ours = (fact.name == FACT) & fact.value.like(f"% {self._holder}")
            session.execute(update(fact).where(ours).values(value=self._value(0.0)))

    def _value(self, ends_at: float) -> str:
        return f"{ends_at:020.3f} {self._holder}"
