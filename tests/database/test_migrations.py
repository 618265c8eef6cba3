"""Migrations up and down with data in the tables, and two releases on the same tables."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy.orm import Session

from stemwright.database import schema, tables
from stemwright.database.engine import Database
from stemwright.errors import StorageError

ID = "ab" * 16
DIGEST = "cd" * 32
NOW = 1_780_000_000.125
REVISIONS = sorted(path.name[:4] for path in (schema.MIGRATIONS / "versions").glob("[0-9]*.py"))

Rows = dict[str, list[dict[str, Any]]]


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path / 'stemwright.db'}"
    made = Database(url if request.param == "sqlite" else request.getfixturevalue("empty_postgresql_url"))
    yield made
    made.close()


def value_of(column: sqlalchemy.Column[Any]) -> Any:
    """A value that the column's type takes and that no default has."""
    match column.type:
        case sqlalchemy.Boolean():
            return True
        case sqlalchemy.JSON():
            return {"title": "Müller \0 \ud83d", "n": [1, 2.5, None]}
        case sqlalchemy.Integer():
            return 2_000_000_000
        case sqlalchemy.Float():
            return NOW
        case sqlalchemy.String(length=length):
            return (ID + DIGEST)[: length or 40]
        case _:
            raise TypeError(column)


def fill(database: Database) -> None:
    """One row in each table, all columns set."""
    with Session(database.engine) as session:
        for table in tables.Base.metadata.sorted_tables:
            row = {column.name: value_of(column) for column in table.columns if column.name != "id"}
            if "id" in table.columns:
                row["id"] = 7 if isinstance(table.c.id.type, sqlalchemy.Integer) else ID
            session.execute(table.insert().values(row))
        session.commit()


def rows(database: Database) -> Rows:
    """All that the tables have now, by their columns; JSON as it was stored."""
    metadata = sqlalchemy.MetaData()
    metadata.reflect(database.engine)
    with database.engine.connect() as connection:
        return {
            table.name: [
                {name: json.dumps(value) if isinstance(value, dict) else value for name, value in row.items()}
                for row in connection.execute(table.select()).mappings()
            ]
            for table in metadata.sorted_tables
            if table.name not in ("alembic_version", "facts") and not table.name.startswith("procrastinate_")
        }


def test_data_survive_each_step_down_and_up(database: Database) -> None:
    database.migrate()
    fill(database)
    full = rows(database)
    assert set(full) == {table.name for table in tables.Base.metadata.sorted_tables} - {"facts"}
    kept = full
    for revision in reversed(REVISIONS[:-1]):
        schema.downgrade(database._dialect, revision)
        now = rows(database)
        # Nothing but the columns and tables of the later revision is gone.
        assert now == {
            table: [{column: row[column] for column in now[table][0]} for row in kept[table]] for table in now
        }, revision
        kept = now
    assert {"accounts", "tasks", "stems", "credit_entries", "callback_deliveries"} <= set(kept)
    assert schema.schema_state(database.engine) == "older"
    database.migrate()
    up = rows(database)
    for table, before in kept.items():
        if table == "jobs" and not database.is_sqlite:
            assert up[table] == []  # they are Procrastinate's now
            continue
        assert [{column: row[column] for column in before[0]} for row in up[table]] == before
    schema.downgrade(database._dialect, "base")
    assert rows(database) == {}
    assert schema.schema_state(database.engine) == "missing"


def test_each_step_up_alone(database: Database) -> None:
    for revision in REVISIONS:
        schema.upgrade(database._dialect, revision)
        assert schema.found_revision(database.engine) == revision
    assert schema.schema_state(database.engine) == "usable"


def test_the_release_before_runs_on_the_new_tables(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    database.migrate()
    monkeypatch.setattr(schema, "newest_revision", lambda: REVISIONS[-2])
    assert schema.schema_state(database.engine) == "usable"
    database.migrate()
    assert schema.found_revision(database.engine) == REVISIONS[-1]


def test_a_release_that_the_tables_have_left_behind_does_not_start(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    database.migrate()
    with database.write() as session:
        session.get_one(tables.Fact, schema.READABLE_FROM).value = REVISIONS[-1]
    assert schema.schema_state(database.engine) == "usable"
    monkeypatch.setattr(schema, "newest_revision", lambda: REVISIONS[-2])
    assert schema.schema_state(database.engine) == "too new"
    with pytest.raises(
        StorageError, match=r"^A newer Stemwright made the database .*: install that release, or a newer"
    ):
        database.migrate()


def test_tables_of_before_that_rule_are_taken_for_too_new(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    database.migrate()
    with database.write() as session:
        session.delete(session.get_one(tables.Fact, schema.READABLE_FROM))
    monkeypatch.setattr(schema, "newest_revision", lambda: REVISIONS[-2])
    assert schema.schema_state(database.engine) == "too new"


def test_a_migration_says_from_which_release_on_it_can_be_read() -> None:
    """``readable_from`` is the revision of an older release, whose tables the migration builds on."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", str(schema.MIGRATIONS))
    for script in ScriptDirectory.from_config(config).walk_revisions():
        oldest = getattr(script.module, "readable_from", schema.FIRST_REVISION)
        assert oldest in REVISIONS and oldest <= script.revision
