"""Tables and functions of Procrastinate, the queue on PostgreSQL: created, upgraded and removed with our own tables.

They are in the database's default schema, under names that begin with ``procrastinate_``. A fact says which of its
migrations are done, since Procrastinate itself does not record them.
"""

from __future__ import annotations

from importlib import resources

import sqlalchemy
from sqlalchemy import Connection, text

from stemwright.errors import StorageError

VERSION_FACT = "procrastinate_schema"
"""Name of the fact that holds the newest of Procrastinate's migrations that is done."""

DROP_ALL = """
DROP TABLE IF EXISTS procrastinate_events, procrastinate_periodic_defers, procrastinate_jobs, procrastinate_workers CASCADE;
DO $$
DECLARE found record;
BEGIN
    FOR found IN SELECT oid::regprocedure AS name FROM pg_proc
        WHERE proname LIKE 'procrastinate\\_%' AND pronamespace = current_schema()::regnamespace
    LOOP
        EXECUTE format('DROP FUNCTION IF EXISTS %s CASCADE', found.name);
    END LOOP;
END $$;
DROP TYPE IF EXISTS procrastinate_job_to_defer_v1, procrastinate_job_status, procrastinate_job_event_type CASCADE;
"""


def newest_version() -> str:
    """The newest migration of the Procrastinate that is installed."""
    return _versions()[-1]


def create(connection: Connection) -> None:
    """Creates everything in the transaction of the connection."""
    run_script(connection, (resources.files("procrastinate.sql") / "schema.sql").read_text("utf-8"))
    _record(connection, newest_version())


def upgrade(connection: Connection) -> None:
    """Runs the migrations of a newer Procrastinate than the one that created the tables.

    Raises:
        StorageError: an even newer one has changed them.
    """
    done = found_version(connection)
    if done is None:
        return
    newest = newest_version()
    if done > newest:
        raise StorageError(
            f"A newer Procrastinate made the queue's tables (its migration {done}): "
            "pip install --upgrade 'stemwright[postgres]'."
        )
    for version in _versions():
        if version > done:
            folder = resources.files("procrastinate.sql") / "migrations"
            names = [entry.name for entry in folder.iterdir() if entry.name.startswith(f"{version}_")]
            for name in sorted(names):
                run_script(connection, (folder / name).read_text("utf-8"))
    if done != newest:
        _record(connection, newest)


def drop(connection: Connection) -> None:
    """Removes everything."""
    run_script(connection, DROP_ALL)
    connection.execute(text("DELETE FROM facts WHERE name = :name"), {"name": VERSION_FACT})


def found_version(connection: Connection) -> str | None:
    """The newest migration that is done; None where the tables are not created yet, or the database is SQLite."""
    if connection.dialect.name != "postgresql" or not sqlalchemy.inspect(connection).has_table("facts"):
        return None
    found = connection.execute(text("SELECT value FROM facts WHERE name = :name"), {"name": VERSION_FACT}).scalar()
    return str(found) if found else None


def run_script(connection: Connection, script: str) -> None:
    """Runs several statements in the transaction of the connection; SQLAlchemy's own execute runs one."""
    cursor = connection.connection.cursor()
    cursor.execute(script)
    cursor.close()


def _record(connection: Connection, version: str) -> None:
    connection.execute(
        text("INSERT INTO facts (name, value) VALUES (:name, :value) ON CONFLICT (name) DO UPDATE SET value = :value"),
        {"name": VERSION_FACT, "value": version},
    )


def _versions() -> list[str]:
    """``03.04.00_50`` and so on, in order; a migration's file name goes on with words."""
    files = (resources.files("procrastinate.sql") / "migrations").iterdir()
    found = {"_".join(entry.name.split("_")[:2]) for entry in files if entry.name.endswith(".sql")}
    return sorted(found)
