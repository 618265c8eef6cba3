"""What processes that share a database compare with each other: the clock, the key that signs callbacks, and the store."""

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

STORAGE = "storage"
"""Name of the fact that says where the API server that started last keeps its files."""

FOLDER = "a folder"


def peer_problems(database: Database, settings: Settings, clock: Clock = time.time) -> list[str]:
    """What is wrong with an API server, each as a sentence with a remedy. It works on nevertheless.

    What it has is kept for the next one, and for the workers.
    """
    if database.is_sqlite:
        return _webhook_problems(database, settings)
    return [
        *_clock_problems(database, clock),
        *_webhook_problems(database, settings),
        *_storage_problems(database, settings),
    ]


def worker_problems(database: Database, settings: Settings, clock: Clock = time.time) -> list[str]:
    """What is wrong with a worker elsewhere, each as a sentence with a remedy. It works on nevertheless."""
    problems = _clock_problems(database, clock)
    if settings.webhook_key is not None and server_state.get(database, WEBHOOK_MARK) not in (
        None,
        _webhook_mark(database, settings),
    ):
        problems.append(
            "The API servers of this database have another STEMWRIGHT_WEBHOOK_KEY: they send the callbacks, so this "
            "worker needs none; remove it here, or set theirs."
        )
    return problems


def storage_problem(database: Database, settings: Settings) -> str | None:
    """Why a worker cannot work with its store, as a sentence with the remedy; None if it is that of the API servers.

    It would find no song there, and nobody would find its stems.
    """
    theirs = None if database.is_sqlite else server_state.get(database, STORAGE)
    if theirs is None or theirs == _storage(settings):
        return None
    remedy = (
        "leave STEMWRIGHT_STORAGE_URL out here" if theirs == FOLDER else f"set STEMWRIGHT_STORAGE_URL to {theirs} here"
    )
    return (
        f"The API servers of this database keep their files in {theirs}, this worker in {_storage(settings)}: {remedy}, "
        "or correct it there."
    )


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
    if _replaced(database, WEBHOOK_MARK, _webhook_mark(database, settings)) is None:
        return []
    return [
        "The server that started before this one on the same database had another STEMWRIGHT_WEBHOOK_KEY: receivers "
        "check callbacks with one key, so give all servers the same; after a change of the key this is said once."
    ]


def _storage_problems(database: Database, settings: Settings) -> list[str]:
    before = _replaced(database, STORAGE, _storage(settings))
    if before is None:
        return []
    return [
        f"The server that started before this one on the same database keeps its files in {before}, this one in "
        f"{_storage(settings)}: give all servers and workers the same STEMWRIGHT_STORAGE_URL; after the files have been "
        "moved this is said once."
    ]


def _storage(settings: Settings) -> str:
    return (settings.storage_url or FOLDER).rstrip("/")


def _webhook_mark(database: Database, settings: Settings) -> str:
    key = settings.webhook_key.get_secret_value() if settings.webhook_key is not None else ""
    secret = server_state.secret(database, LINK_SECRET)
    return hmac.new(secret, key.encode(), hashlib.sha256).hexdigest()[:8] if key else "none"


def _replaced(database: Database, name: str, value: str) -> str | None:
    """Sets a fact; returns what it was if that was something else."""
    with database.write() as session:
        fact = session.get(tables.Fact, name, with_for_update=True)
        before = fact.value if fact is not None else None
        if before != value:
            server_state.put(session, name, value)
    return None if before == value else before
