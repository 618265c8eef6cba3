"""The server database: engine, transactions and migrations."""

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
"""Free bytes below which the disk counts as full."""

DATABASE_FILE = "stemwright.db"
"""File name of the database in a data folder."""

MIGRATIONS = Path(__file__).parent / "migrations"
"""``versions/<revision>_<what>.py``; the highest revision is the newest."""


class Database:
    """Transactions on a database. Thread-safe; each process opens its own."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.engine = sqlalchemy.create_engine(url, pool_size=20, max_overflow=40)
        if self.engine.dialect.name == "sqlite":
            event.listen(self.engine, "connect", _prepare_sqlite)

    @classmethod
    def in_folder(cls, folder: Path) -> Database:
        """Opens SQLite in ``folder``, created if missing.

        Raises:
            StorageError: the folder cannot be created.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise storage_error(error, folder) from error
        return cls(f"sqlite:///{folder / DATABASE_FILE}")

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Opens a read-only session on one snapshot.

        Raises:
            StorageError: the disk is full or failed.
        """
        with self._storage_errors(), Session(self.engine) as session:
            if self.engine.dialect.name == "sqlite":
                session.execute(sqlalchemy.text("BEGIN"))
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Opens an atomic write session: commits at the end, rolls back on any error.

        On SQLite it holds the only write lock from the start, so data it has read cannot change before the commit.

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
        """Migrates the tables to this release, from an empty database or any older release.

        Raises:
            StorageError: the database cannot be read or written, or is from a newer release.
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
        """Whether the tables match this release; False also if the database cannot be read."""
        try:
            return self._revision() == _newest_revision()
        except sqlalchemy.exc.DBAPIError:
            return False

    def _upgrade(self) -> None:
        # Lazy import: alembic takes 10 MB of memory and 0.25 s.
        from alembic import command
        from alembic.config import Config

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        # The transaction lock keeps a second process, started at the same moment, from running the same migration.
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
        """Converts disk errors to StorageError; errors in a statement are bugs and pass through."""
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
        # SQLite reports an I/O error when there is no room for one of its auxiliary files.
        if _sqlite_code(error) == sqlite3.SQLITE_FULL or (
            _sqlite_code(error) == sqlite3.SQLITE_IOERR and self._is_full()
        ):
            return StorageError(f"No room is left for the database {self._name}: free some space.")
        return StorageError(
            f"The database {self._name} cannot be used ({error.orig}): choose another data folder, or restore a backup."
        )

    def _is_full(self) -> bool:
        return shutil.disk_usage(Path(self._name).parent).free < FULL_DISK_BYTES


def _sqlite_code(error: sqlalchemy.exc.DBAPIError) -> int:
    """Returns SQLite's primary result code; 0 for other databases."""
    return getattr(error.orig, "sqlite_errorcode", 0) & 0xFF


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we send BEGIN ourselves: Python's driver begins late, so writers can deadlock
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA journal_mode = WAL")
    cursor.execute("PRAGMA synchronous = FULL")
    cursor.execute("PRAGMA foreign_keys = ON")
    cursor.close()


def _newest_revision() -> str:
    return max(path.name.partition("_")[0] for path in (MIGRATIONS / "versions").glob("[0-9]*.py"))
