"""Facts about this server: single values shared by all its processes."""

from __future__ import annotations

import secrets

from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.database.statements import insert_if_missing, upsert

SECRET_BYTES = 32


def get(database: Database, name: str) -> str | None:
    """Returns a fact; None if not set."""
    with database.read() as session:
        fact = session.get(tables.Fact, name)
        return fact.value if fact is not None else None


def put(session: Session, name: str, value: str) -> None:
    """Sets a fact in a transaction."""
    upsert(session, tables.Fact, name=name, value=value)


def secret(database: Database, name: str) -> bytes:
    """Returns a secret of 32 bytes, created on first use and then the same in all processes."""
    with database.write() as session:
        # A second process waits here and then finds the secret of the first.
        insert_if_missing(session, tables.Fact, name=name, value=secrets.token_hex(SECRET_BYTES))
        return bytes.fromhex(session.get_one(tables.Fact, name).value)
