"""Copies the rows of one database to another, and compares them afterwards."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Table, func, insert, select, text

BATCH_ROWS = 1000


@dataclass(frozen=True)
class TableDigest:
    """What tells two tables apart: their number of rows, and a sum over the digests of the rows, in any order."""

    rows: int
    digest: str


def copy_rows(source: Connection, target: Connection, table: Table) -> Iterator[int]:
    """Adds all rows of a table, in the target's transaction; yields the number so far after each batch."""
    count = 0
    for batch in _batches(source, table):
        target.execute(insert(table), batch)
        count += len(batch)
        yield count


def table_digest(connection: Connection, table: Table) -> TableDigest:
    """Reads a table."""
    rows = total = 0
    for batch in _batches(connection, table):
        for row in batch:
            total += int.from_bytes(hashlib.sha256(_text(row)).digest())
        rows += len(batch)
    return TableDigest(rows, f"{total % 2**256:064x}")


def set_sequences(connection: Connection, table: Table) -> None:
    """Lets PostgreSQL number new rows after those that were copied with their numbers."""
    column = table.autoincrement_column
    if column is None:
        return
    highest = connection.scalar(select(func.max(column)))
    if highest is not None:
        statement = text("SELECT setval(pg_get_serial_sequence(:table, :column), :highest)")
        connection.execute(statement, {"table": table.name, "column": column.name, "highest": highest})


def _batches(connection: Connection, table: Table) -> Iterator[list[dict[str, Any]]]:
    result = connection.execute(select(table), execution_options={"yield_per": BATCH_ROWS})
    for rows in result.mappings().partitions(BATCH_ROWS):
        yield [dict(row) for row in rows]


def _text(row: Mapping[str, Any]) -> bytes:
    """The row as text. NUL, which PostgreSQL's text cannot hold, is U+FFFD in both."""
    return json.dumps([_storable(value) for value in row.values()], sort_keys=True).encode()


def _storable(value: Any) -> Any:
    return value.replace("\0", "\ufffd") if isinstance(value, str) else value
