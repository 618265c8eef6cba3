"""What a database must offer: the differences between SQLite and PostgreSQL, in one interface."""

from __future__ import annotations

from typing import Protocol

import sqlalchemy
from sqlalchemy.orm import Session

from stemwright.errors import StorageError


class Dialect(Protocol):
    """One kind of database.

    Attributes:
        name: of the database in messages; without credentials.
        engine: SQLAlchemy's engine with its pool of connections.
    """

    name: str
    engine: sqlalchemy.Engine

    def reading(self) -> Session:
        """Returns a session for ``begin_reading``."""

    def writing(self) -> Session:
        """Returns a session for ``begin_writing``."""

    def begin_reading(self, session: Session) -> None:
        """Begins a transaction that reads one snapshot."""

    def begin_writing(self, session: Session) -> None:
        """Begins a transaction that writes."""

    def lock_schema(self, connection: sqlalchemy.Connection) -> None:
        """Begins a transaction that keeps all other migrations waiting until it ends."""

    def storage_error(self, error: sqlalchemy.exc.DBAPIError) -> StorageError | None:
        """The error to raise instead, with a remedy; None if the statement itself is wrong, which is a bug."""

    def any_error(self, error: sqlalchemy.exc.DBAPIError) -> StorageError:
        """The same for an error at the start, which is always reported as a sentence."""
