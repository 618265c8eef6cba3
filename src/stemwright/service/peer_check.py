"""What a server compares with the others on its database when it starts: the clock, and the key that signs callbacks."""

from __future__ import annotations

import hashlib
import hmac
import time

from sqlalchemy import func, select

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.service import server_state
from stemwright.service.clock import Clock
from stemwright.settings import Settings

CLOCK_TOLERANCE_S = 30.0

WEBHOOK_MARK = "webhook_key_mark"
"""Name of the fact that tells keys apart without giving one away."""

LINK_SECRET = "link_secret"


def peer_problems(database: Database, settings: Settings, clock: Clock = time.time) -> list[str]:
    """What is wrong, each as a sentence with a remedy. A server works on nevertheless, and loses nothing."""
    problems = [] if database.is_sqlite else _clock_problems(database, clock)
    return problems + _webhook_problems(database, settings)


def _clock_problems(database: Database, clock: Clock) -> list[str]:
    with database.read() as session:
        ahead_s = clock() - float(session.scalar(select(func.extract("epoch", func.clock_timestamp()))) or 0.0)
    if abs(ahead_s) <= CLOCK_TOLERANCE_S:
        return []
    direction = "ahead of" if ahead_s > 0 else "behind"
    return [
        f"The clock of this machine is {abs(ahead_s):.0f} s {direction} that of the database server: links, retries of "
        "callbacks and deletions come at the wrong time; synchronise both with NTP."
    ]


def _webhook_problems(database: Database, settings: Settings) -> list[str]:
    """Compares the key with that of the server that started last, and keeps it for the next."""
    key = settings.webhook_key.get_secret_value() if settings.webhook_key is not None else ""
    secret = server_state.secret(database, LINK_SECRET)
    mark = hmac.new(secret, key.encode(), hashlib.sha256).hexdigest()[:8] if key else "none"
    with database.write() as session:
        fact = session.get(tables.Fact, WEBHOOK_MARK, with_for_update=True)
        before = fact.value if fact is not None else mark
        if before != mark or fact is None:
            server_state.put(session, WEBHOOK_MARK, mark)
    if before == mark:
        return []
    return [
        "The server that started before this one on the same database had another STEMWRIGHT_WEBHOOK_KEY: receivers "
        "check callbacks with one key, so give all servers the same; after a change of the key this is said once."
    ]
