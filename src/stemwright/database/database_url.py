"""Which database a URL names."""

from __future__ import annotations

import sqlalchemy

from stemwright.database.dialect import Dialect
from stemwright.database.sqlite import SqliteDialect
from stemwright.errors import UsageError

POSTGRESQL = ("postgresql", "postgres", "postgresql+psycopg")
EXAMPLE = "postgresql://USER:PASSWORD@HOST:5432/DATABASE"


def open_dialect(text: str) -> Dialect:
    """Opens a database, without connecting to it yet.

    Raises:
        UsageError: the URL names no database that can be used, or the driver is not installed.
    """
    try:
        url = sqlalchemy.make_url(text)
    except (sqlalchemy.exc.ArgumentError, ValueError) as error:
        # The URL itself is not shown: it may hold a password.
        raise UsageError(f"STEMWRIGHT_DATABASE_URL is not a URL: write {EXAMPLE}.") from error
    if url.drivername == "sqlite":
        return SqliteDialect(url)
    if url.drivername not in POSTGRESQL:
        raise UsageError(
            f"STEMWRIGHT_DATABASE_URL names {url.drivername}, which is not supported: write {EXAMPLE}, or leave it out "
            "for SQLite in the data folder."
        )
    try:
        from stemwright.database.postgresql import PostgresqlDialect
    except ImportError as error:
        raise UsageError(
            f"PostgreSQL needs a package that is not installed ({error.name}): pip install 'stemwright[postgres]'."
        ) from error
    return PostgresqlDialect(url.set(drivername="postgresql+psycopg"))
