"""Statements that stay correct while others write, on SQLite and on PostgreSQL."""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import CursorResult, Table, func, select
from sqlalchemy.orm import Session

from stemwright.database.tables import Base


def upsert(session: Session, table: type[Base], **columns: Any) -> None:
    """Adds a row, or changes the one with the same primary key; others may do so at the same moment."""
    keys = [column.name for column in table.__table__.primary_key]
    changed = {name: value for name, value in columns.items() if name not in keys}
    session.execute(
        conflict_insert(session, table).values(**columns).on_conflict_do_update(index_elements=keys, set_=changed)
    )


def insert_if_missing(session: Session, table: type[Base], **columns: Any) -> bool:
    """Adds a row unless one of its unique columns is taken. Waits for whoever is taking it now.

    Returns:
        Whether the row was added.
    """
    statement = conflict_insert(session, table).values(**columns).on_conflict_do_nothing()
    # SQLAlchemy forgets the count of an INSERT unless it is asked to keep it.
    return changed_rows(session.execute(statement, execution_options={"preserve_rowcount": True})) > 0


def lock_name(session: Session, name: str) -> None:
    """Keeps others that lock the same name waiting until the transaction ends.

    For checks of rows that may not exist yet, and so cannot be locked themselves. SQLite has one writer anyway.
    """
    if session.get_bind().dialect.name != "sqlite":
        session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))


def changed_rows(result: Any) -> int:
    """How many rows an INSERT, UPDATE or DELETE has changed."""
    return cast("CursorResult[Any]", result).rowcount


def conflict_insert(session: Session, table: type[Base]) -> Any:
    """An INSERT of the session's database that can say what happens to rows that are there (``on_conflict_…``)."""
    target = cast(Table, table.__table__)
    if session.get_bind().dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite

        return sqlite.insert(target)
    from sqlalchemy.dialects import postgresql

    return postgresql.insert(target)
