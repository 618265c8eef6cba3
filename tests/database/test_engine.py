from __future__ import annotations

import threading
from pathlib import Path

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import select

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.database.schema import READABLE_FROM


@pytest.fixture
def database(tmp_path: Path) -> Database:
    made = Database.in_folder(tmp_path / "data")
    made.migrate()
    return made


def add_fact(database: Database, name: str) -> None:
    with database.write() as session:
        session.add(tables.Fact(name=name, value="x"))


def count(database: Database) -> int:
    with database.read() as session:
        return session.query(tables.Fact).filter(tables.Fact.name != READABLE_FROM).count()


def test_the_migrations_make_the_tables_that_the_code_names(database: Database) -> None:
    with database.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), tables.Base.metadata)
    assert differences == []


def test_migrating_again_changes_nothing(database: Database) -> None:
    add_fact(database, "kept")
    database.migrate()
    assert count(database) == 1


def test_two_processes_may_migrate_at_once(tmp_path: Path) -> None:
    both = [Database.in_folder(tmp_path) for _ in range(2)]
    failures: list[BaseException] = []

    def migrate(database: Database) -> None:
        try:
            database.migrate()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=migrate, args=(database,)) for database in both]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert count(both[0]) == 0


def test_an_error_undoes_all_of_a_transaction(database: Database) -> None:
    with pytest.raises(KeyError), database.write() as session:
        session.add(tables.Fact(name="lost", value="x"))
        session.flush()
        raise KeyError
    assert count(database) == 0


def test_what_a_writer_reads_stays_true_until_it_commits(database: Database) -> None:
    """Two hundred increments by four threads: none is lost, as it would be if reading took no lock."""
    with database.write() as session:
        session.add(tables.Fact(name="n", value="0"))

    def increment() -> None:
        for _ in range(50):
            with database.write() as session:
                fact = session.get_one(tables.Fact, "n")
                fact.value = str(int(fact.value) + 1)

    threads = [threading.Thread(target=increment) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        assert session.get_one(tables.Fact, "n").value == "200"


def test_a_reader_sees_one_moment(database: Database) -> None:
    add_fact(database, "first")
    with database.read() as session:
        names = select(tables.Fact.name).where(tables.Fact.name != READABLE_FROM)
        assert session.scalars(names).all() == ["first"]
        add_fact(database, "second")
        assert session.scalars(names).all() == ["first"]
    assert count(database) == 2


def test_the_database_is_durable_and_keeps_references(database: Database) -> None:
    with database.engine.connect() as connection:
        pragmas = {
            name: connection.execute(sqlalchemy.text(f"PRAGMA {name}")).scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        }
    assert pragmas == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
