"""Facts about this server: single values that all its processes share."""

from __future__ import annotations

import secrets

from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.database.engine import Database

SECRET_BYTES = 32


def get(database: Database, name: str) -> str | None:
    """A fact; None where nobody has put it."""
    with database.read() as session:
        fact = session.get(tables.Fact, name)
        return fact.value if fact is not None else None


def put(session: Session, name: str, value: str) -> None:
    """Sets a fact within a transaction."""
    session.merge(tables.Fact(name=name, value=value))


def secret(database: Database, name: str) -> bytes:
    """A secret of 32 bytes, made when it is first asked for and the same ever after, in all processes."""
    with database.write() as session:  # whoever comes second waits here, and finds what the first has put
        fact = session.get(tables.Fact, name)
        if fact is None:
            fact = tables.Fact(name=name, value=secrets.token_hex(SECRET_BYTES))
            session.add(fact)
        return bytes.fromhex(fact.value)
