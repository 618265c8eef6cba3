"""The tables' revision, and the migrations that change it."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy

from stemwright.database import procrastinate_schema
from stemwright.database.dialect import Dialect
from stemwright.errors import StorageError

MIGRATIONS = Path(__file__).parent / "migrations"
"""``versions/<revision>_<what>.py``; the highest revision is the newest."""


def newest_revision() -> str:
    """The revision of this release's tables."""
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))


def found_revision(engine: sqlalchemy.Engine) -> str | None:
    """The revision of the database's tables; None if it has none yet."""
    with engine.connect() as connection:
        if not sqlalchemy.inspect(connection).has_table("alembic_version"):
            return None
        found = connection.execute(sqlalchemy.text("SELECT version_num FROM alembic_version")).scalar()
        return str(found) if found else None


def migrate(dialect: Dialect, revision: str = "head") -> None:
    """Migrates the tables up to a revision in one transaction; processes that do so at once wait for each other.

    Raises:
        StorageError: the database is from a newer release.
    """
    found, newest = found_revision(dialect.engine), newest_revision()
    if found is not None and found > newest:
        raise StorageError(
            f"A newer Stemwright made the database {dialect.name}: install that release, or a newer one."
        )
    if found != newest:
        _run(dialect, "upgrade", revision)
    _upgrade_queue(dialect)


def _upgrade_queue(dialect: Dialect) -> None:
    """Upgrades Procrastinate's tables, if a newer one than theirs is installed now."""
    with dialect.engine.connect() as connection:
        found = procrastinate_schema.found_version(connection)
        connection.rollback()
        if found is not None and found != procrastinate_schema.newest_version():
            dialect.lock_schema(connection)
            procrastinate_schema.upgrade(connection)
            connection.commit()


def downgrade(dialect: Dialect, revision: str) -> None:
    """Migrates the tables down to a revision, or to nothing (``base``)."""
    _run(dialect, "downgrade", revision)


def _run(dialect: Dialect, command_name: str, revision: str) -> None:
    # Lazy import: alembic takes 10 MB of memory and 0.25 s.
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    with dialect.engine.connect() as connection:
        dialect.lock_schema(connection)
        config.attributes["connection"] = connection
        getattr(command, command_name)(config, revision)
        connection.commit()
