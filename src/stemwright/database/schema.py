"""The tables' revision, and the migrations that change it.

While a new release replaces an old one, both run on the same tables for a while. So a migration only adds what the old
release can ignore (expand); what nobody needs any more goes with a later release (contract). A migration that an older
release cannot work with says so: ``readable_from = "0012"`` names the revision of the oldest release that can. The
highest of these is kept in the database, where older releases look it up.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

import sqlalchemy

from stemwright.database import procrastinate_schema
from stemwright.database.dialect import Dialect
from stemwright.errors import StorageError

if TYPE_CHECKING:
    from alembic.config import Config

MIGRATIONS = Path(__file__).parent / "migrations"
"""``versions/<revision>_<what>.py``; the highest revision is the newest."""

READABLE_FROM = "tables_readable_from"
"""Name of the fact with the revision of the oldest release that works with the tables."""

FIRST_REVISION = "0001"

SchemaState = Literal["missing", "older", "usable", "too new"]
"""The tables as this release sees them; ``usable`` are its own, and newer ones that it can work with."""


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


def schema_state(engine: sqlalchemy.Engine) -> SchemaState:
    """Whether this release can work with the tables."""
    found, newest = found_revision(engine), newest_revision()
    if found is None:
        return "missing"
    if found < newest:
        return "older"
    return "usable" if found == newest or _readable_from(engine) <= newest else "too new"


def migrate(dialect: Dialect) -> None:
    """Migrates the tables to this release in one transaction; processes that do so at once wait for each other.

    Tables of a newer release stay as they are, where this release can work with them.

    Raises:
        StorageError: the tables are those of a newer release, which this one cannot work with.
    """
    state = schema_state(dialect.engine)
    if state == "too new":
        raise StorageError(
            f"A newer Stemwright made the database {dialect.name}: install that release, or a newer one."
        )
    if state != "usable":
        upgrade(dialect, "head")
    _upgrade_queue(dialect)


def upgrade(dialect: Dialect, revision: str) -> None:
    """Migrates the tables up to a revision."""
    _run(dialect, "upgrade", revision)


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


def _readable_from(engine: sqlalchemy.Engine) -> str:
    """The revision of the oldest release that works with the tables, as the newest release said."""
    query = sqlalchemy.text("SELECT value FROM facts WHERE name = :name")
    with engine.connect() as connection:
        value = connection.execute(query, {"name": READABLE_FROM}).scalar()
        return str(value) if value is not None else found_revision(engine) or FIRST_REVISION


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
        _record_readable_from(config, connection)
        connection.commit()


def _record_readable_from(config: Config, connection: sqlalchemy.Connection) -> None:
    from alembic.script import ScriptDirectory

    found = connection.execute(sqlalchemy.text("SELECT version_num FROM alembic_version")).scalar()
    if found is None:  # migrated down to nothing
        return
    scripts = ScriptDirectory.from_config(config).iterate_revisions(str(found), "base")
    oldest = max(getattr(script.module, "readable_from", FIRST_REVISION) for script in scripts)
    values = {"name": READABLE_FROM, "value": oldest}
    connection.execute(sqlalchemy.text("DELETE FROM facts WHERE name = :name"), {"name": READABLE_FROM})
    connection.execute(sqlalchemy.text("INSERT INTO facts (name, value) VALUES (:name, :value)"), values)
