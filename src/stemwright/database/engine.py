"""The server's database: transactions, whichever database it is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import sqlalchemy
from sqlalchemy.orm import Session

from stemwright.database import schema
from stemwright.database.database_url import open_dialect
from stemwright.errors import DatabaseUnavailableError, storage_error
from stemwright.settings import Settings

DATABASE_FILE = "stemwright.db"
"""File name of the database in a data folder."""


class Database:
    """Transactions on a database. Thread-safe; each process opens its own."""

    def __init__(self, url: str) -> None:
        """Args: url: ``sqlite:///path`` or ``postgresql://…``.

        Raises:
            UsageError: the URL names no database that can be used.
        """
        self.url = url
        self._dialect = open_dialect(url)
        self.engine = self._dialect.engine

    @classmethod
    def open(cls, settings: Settings) -> Database:
        """Opens the database that the settings name, without migrating it.

        Raises:
            UsageError: the URL names no database that can be used.
            StorageError: the data folder cannot be created.
        """
        if settings.database_url is None:
            return cls.in_folder(settings.data)
        return cls(settings.database_url.get_secret_value())

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

    @property
    def name(self) -> str:
        """The database in messages, without credentials."""
        return self._dialect.name

    @property
    def is_sqlite(self) -> bool:
        """Whether it is SQLite in a data folder, which one machine uses, not PostgreSQL, which many use."""
        return self.engine.dialect.name == "sqlite"

    @contextmanager
    def read(self) -> Iterator[Session]:
        """Opens a read-only session on one snapshot.

        Raises:
            StorageError: the disk is full or failed, or the database server cannot be reached.
        """
        with self.storage_errors(), self._dialect.reading() as session:
            self._dialect.begin_reading(session)
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """Opens an atomic write session: commits at the end, rolls back on any error.

        On SQLite it holds the only write lock from the start, so data it has read cannot change before the commit. On
        PostgreSQL others write at the same time (READ COMMITTED): a guard locks its row, or is part of the statement.

        Raises:
            TransactionConflictError: another transaction came first; see ``retry.retry_conflicts``.
            StorageError: the disk is full or failed, or the database server cannot be reached.
        """
        with self.storage_errors(), self._dialect.writing() as session:
            self._dialect.begin_writing(session)
            try:
                yield session
                session.commit()
            except BaseException:
                session.rollback()
                raise

    def migrate(self) -> None:
        """Migrates the tables to this release, from an empty database or any older release.

        Raises:
            StorageError: the database cannot be read or written, or a newer release has made tables that this one
                cannot work with.
        """
        try:
            schema.migrate(self._dialect)
        except sqlalchemy.exc.DBAPIError as error:
            raise self._dialect.any_error(error) from error

    def schema_state(self) -> schema.SchemaState:
        """Whether this release can work with the tables, or must migrate them.

        Raises:
            StorageError: the database cannot be read.
        """
        try:
            return schema.schema_state(self.engine)
        except sqlalchemy.exc.DBAPIError as error:
            raise self._dialect.any_error(error) from error

    def close(self) -> None:
        """Closes all connections."""
        self.engine.dispose()

    @contextmanager
    def storage_errors(self) -> Iterator[None]:
        """Converts errors of the disk or the server to StorageError; errors in a statement are bugs and pass through."""
        try:
            yield
        except sqlalchemy.exc.DBAPIError as error:
            translated = self._dialect.storage_error(error)
            if translated is None:
                raise
            raise translated from error
        except sqlalchemy.exc.TimeoutError as error:
            raise DatabaseUnavailableError(
                f"All connections of this process to {self.name} are in use: send fewer requests at once, or run "
                "another server."
            ) from error
