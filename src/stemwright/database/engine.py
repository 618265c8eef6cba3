"""The database of a server: its engine, its transactions and its migration to the newest tables."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy
from sqlalchemy import event
from sqlalchemy.orm import Session

from stemwright.errors import StorageError, storage_error

BUSY_TIMEOUT_MS = 30_000
FULL_DISK_BYTES = 1_000_000
"""With less than that left, a disk is full."""

DATABASE_FILE = "stemwright.db"
"""What the database is called in a data folder."""

MIGRATIONS = Path(__file__).parent / "migrations"
"""``versions/<revision>_<what>.py``; the greatest revision is the newest."""


class Database:
    """Transactions on one database. Safe in threads; each process opens its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = sqlalchemy.create_engine(url, pool_size=20, max_overflow=40)
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _prepare_sqlite)

    @classmethod
    def in_folder(cls, folder: Path) -> Database:
        """SQLite in ``folder``, which is made if it is missing.

        Raises:
            StorageError: the folder cannot be made.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(error, folder) from error
        return cls(f"sqlite:///{folder / DATABASE_FILE}")

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one moment and changes nothing.

        Raises:
            StorageError: the disk is full or failed.
        """
        with self._storage_errors(), Session(self.engine) as session:
            if self.engine.dialect.name == "sqlite":
                session.execute(sqlalchemy.text("BEGIN"))
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that changes all or nothing: it commits at the end, and rolls back on any error.

        On SQLite it holds the only write lock from its start, so what it reads stays true until it commits.

        Raises:
            StorageError: the disk is full or failed.
        """
        with self._storage_errors(), Session(self.engine, expire_on_commit=False) as session:
            if self.engine.dialect.name == "sqlite":
                session.execute(sqlalchemy.text("BEGIN IMMEDIATE"))
            try:
                yield session
                session.commit()
            except BaseException:
                session.rollback()
                raise

    def migrate(self) -> None:
        """Brings the tables up to date, from nothing or from any older release.

        Raises:
            StorageError: the database cannot be read or written, or a newer release made it.
        """
        newest = _newest_revision()
        try:
            found = self._revision()
            if found is not None and found > newest:
                raise StorageError(
                    f"A newer Stemwright made the database {self._name}: install that release, or a newer one."
                )
            if found != newest:
                self._upgrade()
        except sqlalchemy.exc.DBAPIError as error:
            raise self._storage_error(error) from error

    def is_current(self) -> bool:
        """Whether the tables are those of this release; False too where the database cannot be read."""
        try:
            return self._revision() == _newest_revision()
        except sqlalchemy.exc.DBAPIError:
            return False

    def _upgrade(self) -> None:
        # Imported where it is needed: alembic takes 10 MB of memory, and a quarter of a second.
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        # The lock of a transaction keeps a second process, started at the same moment, out of the same migration.
        with self.engine.connect() as connection:
            if self.engine.dialect.name == "sqlite":
                connection.execute(sqlalchemy.text("BEGIN IMMEDIATE"))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            connection.commit()

    def _revision(self) -> str | None:
        with self.engine.connect() as connection:
            if not sqlalchemy.inspect(connection).has_table("alembic_version"):
                return None
            found = connection.execute(sqlalchemy.text("SELECT version_num FROM alembic_version")).scalar()
            return str(found) if found else None

    def close(self) -> None:
        """Closes all connections."""
        self.engine.dispose()

    @property
    def _name(self) -> str:
        return self.engine.url.database or self.engine.url.render_as_string()

    @contextmanager
    def _storage_errors(self) -> Iterator[None]:
        """A disk that is full or failed is told as such; what is wrong with a statement is a fault of ours."""
        try:
            yield
        except sqlalchemy.exc.DBAPIError as error:
            if _sqlite_code(error) in (
                sqlite3.SQLITE_FULL,
                sqlite3.SQLITE_IOERR,
                sqlite3.SQLITE_CANTOPEN,
                sqlite3.SQLITE_READONLY,
            ):
                raise self._storage_error(error) from error
            raise

    def _storage_error(self, error: sqlalchemy.exc.DBAPIError) -> StorageError:
        # SQLite calls it an error of the disk when one of its smaller files finds no room.
        if _sqlite_code(error) == sqlite3.SQLITE_FULL or (
            _sqlite_code(error) == sqlite3.SQLITE_IOERR and self._is_full()
        ):
            return StorageError(f"No room is left for the database {self._name}: free some space.")
        return StorageError(
            f"The database {self._name} cannot be used ({error.orig}): name another data folder, or go back to a backup."
        )

    def _is_full(self) -> bool:
        return shutil.disk_usage(Path(self._name).parent).free < FULL_DISK_BYTES


def _sqlite_code(error: sqlalchemy.exc.DBAPIError) -> int:
    """SQLite's primary code; 0 for other databases."""
    return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # BEGIN is ours: Python's own driver begins late, which lets writers deadlock
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _newest_revision() -> str:
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
