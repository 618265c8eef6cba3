"""SQLite, the database in the data folder: one writer at a time, readers beside it."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.orm import Session

from stemwright.errors import StorageError

BUSY_TIMEOUT_MS = 30_000
FULL_DISK_BYTES = 1_000_000
"""Free bytes below which the disk counts as full."""

DISK_ERRORS = (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY)


class SqliteDialect:
    """What SQLite needs that other databases do not (``database.dialect``)."""

    def __init__(self, url: sqlalchemy.URL) -> None:
        self.name = url.database or url.render_as_string()
        self.engine = sqlalchemy.create_engine(url, pool_size=20, max_overflow=40)
        event.listen(self.engine, "connect", _prepare)

    def reading(self) -> Session:
        """See ``Dialect``."""
        return Session(self.engine)

    def writing(self) -> Session:
        """See ``Dialect``."""
        return Session(self.engine, expire_on_commit=False)

    def begin_reading(self, session: Session) -> None:
        """See ``Dialect``."""
        session.execute(sqlalchemy.text("BEGIN"))

    def begin_writing(self, session: Session) -> None:
        """See ``Dialect``. Takes the only write lock, so what the session reads cannot change before the commit."""
        session.execute(sqlalchemy.text("BEGIN IMMEDIATE"))

    def lock_schema(self, connection: sqlalchemy.Connection) -> None:
        """See ``Dialect``."""
        connection.execute(sqlalchemy.text("BEGIN IMMEDIATE"))

    def storage_error(self, error: sqlalchemy.exc.DBAPIError) -> StorageError | None:
        """See ``Dialect``."""
        return self.any_error(error) if _code(error) in DISK_ERRORS else None

    def any_error(self, error: sqlalchemy.exc.DBAPIError) -> StorageError:
        """See ``Dialect``."""
        # SQLite reports an I/O error when there is no room for one of its auxiliary files.
        if _code(error) == sqlite3.SQLITE_FULL or (_code(error) == sqlite3.SQLITE_IOERR and self._is_full()):
            return StorageError(f"No room is left for the database {self.name}: free some space.")
        return StorageError(
            f"The database {self.name} cannot be used ({error.orig}): choose another data folder, or restore a backup."
        )

    def _is_full(self) -> bool:
        return shutil.disk_usage(Path(self.name).parent).free < FULL_DISK_BYTES


def _code(error: sqlalchemy.exc.DBAPIError) -> int:
    """SQLite's primary result code."""
    return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


def _prepare(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we send BEGIN ourselves: Python's driver begins late, so writers can deadlock
    # SQLite's own function knows no letters beyond ASCII.
    connection.create_function("lower", 1, _lower, deterministic=True)
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()
