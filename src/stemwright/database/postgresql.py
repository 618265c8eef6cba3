"""PostgreSQL: a database server, for several API servers and workers on many machines."""

from __future__ import annotations

from typing import Any

import psycopg
import sqlalchemy
from psycopg.types.string import StrDumper
from sqlalchemy import event
from sqlalchemy.orm import Session

from stemwright.errors import DatabaseUnavailableError, StorageError, TransactionConflictError

POOL_CONNECTIONS = 10
"""Connections that a process keeps; a burst may open as many again."""

CONNECT_TIMEOUT_S = 10
CONNECTION_OPTIONS = {
    "lock_timeout": "30s",
    # A machine that is cut off from the network must not hold its locks for hours.
    "idle_in_transaction_session_timeout": "60s",
    "tcp_keepalives_idle": "15",
    "tcp_keepalives_interval": "5",
    "tcp_keepalives_count": "3",
}
KEEPALIVES = {"keepalives_idle": 15, "keepalives_interval": 5, "keepalives_count": 3, "tcp_user_timeout": 30_000}
"""The same in the other direction: a server that has vanished is noticed within 30 s. Times in s, the last in ms."""

SCHEMA_LOCK = 0x57E3_0001
"""Number of the advisory lock of migrations."""

MIGRATION_LOCK_TIMEOUT = "10s"
"""How long a migration waits for a table: all other users of the table wait behind it meanwhile."""

CONFLICTS = ("40001", "40P01")
"""SQLSTATEs of transactions that may be run again: serialization failure, deadlock."""

REASONS = {
    "password authentication failed": "it refuses the user or the password: correct STEMWRIGHT_DATABASE_URL",
    "no password supplied": "it asks for a password: put one into STEMWRIGHT_DATABASE_URL",
    "no pg_hba.conf entry": "it lets this user connect from here in no way: add a line to its pg_hba.conf",
    "remaining connection slots": "it has no connections left: raise its max_connections, or run fewer processes",
    "too many clients": "it has no connections left: raise its max_connections, or run fewer processes",
    "is starting up": "it is starting: try again in a moment",
    "is shutting down": "it is stopping: try again when it is up",
    "not accepting connections": "it is starting or stopping: try again in a moment",
    "could not translate host name": "its host is unknown: correct STEMWRIGHT_DATABASE_URL",
    "failed to resolve host": "its host is unknown: correct STEMWRIGHT_DATABASE_URL",
    "connection refused": "nothing listens there: start it, or correct STEMWRIGHT_DATABASE_URL",
    "no such file or directory": "nothing listens there: start it, or correct STEMWRIGHT_DATABASE_URL",
    "timeout expired": "it does not answer: check that it runs and that a firewall lets this machine through",
    "connection timeout": "it does not answer: check that it runs and that a firewall lets this machine through",
    "ssl": "the encryption could not be agreed on: correct sslmode in STEMWRIGHT_DATABASE_URL",
}
"""Words of libpq and the server, and what they mean. A failed connection has no SQLSTATE to go by."""

STATES = {
    "53100": "No room is left on the disk of {name}: free some space there.",
    "53200": "{name} has no memory left: give its machine more, or lower its max_connections.",
    "53300": "{name} has no connections left: raise its max_connections, or run fewer processes.",
    "55P03": "{name} is overloaded, a lock was not free within 30 s: look for long transactions in pg_stat_activity.",
    "25006": "{name} is read-only, so it is a standby: let STEMWRIGHT_DATABASE_URL name the primary.",
    "42501": "{name} does not let this user do that: make the user the owner of the database and its tables.",
    "42P01": "{name} has no tables of this release yet: start `stemwright serve` with it once, which creates them.",
}
"""Sentences for SQLSTATEs. Classes 08, 57 and 58 are lost connections and failures of the server."""


class PostgresqlDialect:
    """What PostgreSQL needs that other databases do not (``database.dialect``).

    Sessions write at READ COMMITTED: a row that was read may have changed at the commit. Guards therefore lock the row
    (``with_for_update``), or are conditions of the UPDATE, or unique constraints.
    """

    def __init__(self, url: sqlalchemy.URL) -> None:
        host = url.host or url.query.get("host") or "localhost"
        self.name = f"the PostgreSQL database {url.database or url.username} at {host}:{url.port or 5432}"
        options = " ".join(f"-c {name}={value}" for name, value in CONNECTION_OPTIONS.items())
        self.engine = sqlalchemy.create_engine(
            url,
            pool_size=POOL_CONNECTIONS,
            max_overflow=POOL_CONNECTIONS,
            pool_pre_ping=True,  # after a restart of the server, kept connections are dead
            pool_use_lifo=True,
            connect_args={
                "application_name": "stemwright",
                "connect_timeout": CONNECT_TIMEOUT_S,
                "options": options,
                **KEEPALIVES,
            },
        )
        self._snapshots = self.engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        event.listen(self.engine, "connect", _prepare)

    def reading(self) -> Session:
        """See ``Dialect``."""
        return Session(self._snapshots)

    def writing(self) -> Session:
        """See ``Dialect``."""
        return Session(self.engine, expire_on_commit=False)

    def begin_reading(self, session: Session) -> None:
        """See ``Dialect``. PostgreSQL begins with the first statement."""

    def begin_writing(self, session: Session) -> None:
        """See ``Dialect``. PostgreSQL begins with the first statement."""

    def lock_schema(self, connection: sqlalchemy.Connection) -> None:
        """See ``Dialect``."""
        connection.execute(sqlalchemy.text("SET LOCAL lock_timeout = 0"))
        connection.execute(sqlalchemy.text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": SCHEMA_LOCK})
        connection.execute(sqlalchemy.text(f"SET LOCAL lock_timeout = '{MIGRATION_LOCK_TIMEOUT}'"))

    def storage_error(self, error: sqlalchemy.exc.DBAPIError) -> StorageError | None:
        """See ``Dialect``."""
        state = getattr(error.orig, "sqlstate", None)
        if state in CONFLICTS:
            return TransactionConflictError(
                f"{_capital(self.name)} was changed by another process at the same moment: try again."
            )
        if state in STATES:
            return DatabaseUnavailableError(_capital(STATES[state].format(name=self.name)))
        is_lost = state is None and isinstance(error.orig, psycopg.OperationalError)
        if is_lost or error.connection_invalidated or (state or "")[:2] in ("08", "57", "58"):
            return DatabaseUnavailableError(f"{_capital(self.name)} cannot be used: {_reason(error.orig)}.")
        return None

    def any_error(self, error: sqlalchemy.exc.DBAPIError) -> StorageError:
        """See ``Dialect``."""
        return self.storage_error(error) or StorageError(
            f"{_capital(self.name)} cannot be used ({_first_line(error.orig)}): correct STEMWRIGHT_DATABASE_URL, or "
            "restore a backup."
        )


class _TextDumper(StrDumper):
    """PostgreSQL's text cannot hold NUL, which a client may send in any name: it becomes U+FFFD."""

    def dump(self, obj: str) -> Any:
        return super().dump(obj.replace("\0", "\ufffd") if "\0" in obj else obj)


def _prepare(connection: Any, _record: Any) -> None:
    connection.adapters.register_dumper(str, _TextDumper)


def _reason(error: BaseException | None) -> str:
    text = str(error).lower()
    if "database" in text and "does not exist" in text:
        return "it does not exist: create it with createdb, or correct STEMWRIGHT_DATABASE_URL"
    if "role" in text and "does not exist" in text:
        return "it refuses the user or the password: correct STEMWRIGHT_DATABASE_URL"
    for words, meaning in REASONS.items():
        if words in text:
            return meaning
    return f"the connection was lost ({_first_line(error)}); it is tried again with the next request"


def _first_line(error: BaseException | None) -> str:
    return str(error).strip().partition("\n")[0].rstrip(".")


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]
