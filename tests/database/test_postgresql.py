"""What is PostgreSQL's own: snapshots, migrations at once, and its troubles as sentences."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import sqlalchemy
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.database.retry import retry_conflicts
from stemwright.errors import DatabaseUnavailableError, StorageError, TransactionConflictError, UsageError
from stemwright.settings import read_settings
from tests.postgresql import PASSWORD, PostgresqlServer

OpenDatabase = Callable[[str], Database]


@pytest.fixture
def open_database() -> Iterator[OpenDatabase]:
    opened: list[Database] = []

    def open_database(url: str) -> Database:
        opened.append(Database(url))
        return opened[-1]

    yield open_database
    for database in opened:
        database.close()


@pytest.fixture
def database(postgresql_url: str, open_database: OpenDatabase) -> Database:
    return open_database(postgresql_url)


def add_fact(database: Database, name: str, value: str = "x") -> None:
    with database.write() as session:
        session.add(tables.Fact(name=name, value=value))


def _is_ours(name: str | None, _kind: object, _parents: object) -> bool:
    return not (name or "").startswith("procrastinate_")


def test_the_migrations_make_the_tables_that_the_code_names(database: Database) -> None:
    with database.engine.connect() as connection:
        options = {"compare_server_default": True, "include_name": _is_ours}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, tables.Base.metadata) == []


def test_ten_processes_may_migrate_from_nothing_at_once(empty_postgresql_url: str, open_database: OpenDatabase) -> None:
    databases = [open_database(empty_postgresql_url) for _ in range(10)]
    failures: list[BaseException] = []

    def migrate(database: Database) -> None:
        try:
            database.migrate()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=migrate, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    add_fact(databases[0], "kept")
    databases[1].migrate()
    with databases[2].read() as session:
        assert session.get_one(tables.Fact, "kept").value == "x"


def test_a_reader_sees_one_moment_and_cannot_write(database: Database) -> None:
    add_fact(database, "first")
    with database.read() as session:
        before = session.query(tables.Fact).count()
        add_fact(database, "second")
        assert session.query(tables.Fact).count() == before
        session.add(tables.Fact(name="third", value="x"))
        with pytest.raises(sqlalchemy.exc.InternalError, match="read-only"):
            session.flush()
    with database.read() as session:
        assert session.query(tables.Fact).count() == before + 1


def test_large_sizes_and_nul_are_stored(database: Database) -> None:
    add_fact(database, "n\0l", "a\0b")
    with database.write() as session:
        session.add(tables.Blob(digest="ab" * 32, size_bytes=5_000_000_000, created_at=1_780_000_000.123456))
    with database.read() as session:
        assert session.get_one(tables.Fact, "n\0l").value == "a\ufffdb"
        blob = session.get_one(tables.Blob, "ab" * 32)
        assert (blob.size_bytes, blob.created_at) == (5_000_000_000, 1_780_000_000.123456)


def test_after_a_deadlock_the_loser_runs_again(database: Database) -> None:
    """Two transactions lock two rows in opposite order, each after the other has its first: one must lose."""
    for name in ("a", "b"):
        add_fact(database, name, "0")
    both_hold_one = threading.Barrier(2)
    met = threading.local()
    runs: list[str] = []

    @retry_conflicts
    def lock(first: str, second: str) -> None:
        runs.append(first)
        with database.write() as session:
            for name in (first, second):
                fact = session.get_one(tables.Fact, name, with_for_update=True)
                fact.value = str(int(fact.value) + 1)
                session.flush()
                if not hasattr(met, "once"):
                    met.once = both_hold_one.wait()

    threads = [threading.Thread(target=lock, args=names) for names in (("a", "b"), ("b", "a"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        assert [session.get_one(tables.Fact, name).value for name in ("a", "b")] == ["2", "2"]
    # Three, or more: the loser may have its first row again before the other has woken up and taken it.
    assert len(runs) >= 3


def test_conflicts_without_end_are_reported() -> None:
    runs: list[int] = []

    @retry_conflicts
    def lose() -> None:
        runs.append(1)
        raise TransactionConflictError("another came first")

    with pytest.raises(TransactionConflictError):
        lose()
    assert len(runs) == 8


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (("/postgres", "/nowhere"), r"it does not exist: create it with createdb, or correct STEMWRIGHT_DATABASE_URL"),
        (("stemwright:", "stranger:"), r"it refuses the user or the password: correct"),
        ((":PASSWORD@", ":wrong@"), r"it refuses the user or the password: correct"),
        ((":PASSWORD@", "@"), r"it asks for a password: put one into STEMWRIGHT_DATABASE_URL"),
        (("127.0.0.1", "no.such.host.invalid"), r"its host is unknown: correct STEMWRIGHT_DATABASE_URL"),
        ((":PORT/", ":1/"), r"nothing listens there: start it, or correct STEMWRIGHT_DATABASE_URL"),
    ],
)
def test_a_wrong_url_is_one_sentence_without_the_password(
    postgresql: PostgresqlServer, open_database: OpenDatabase, change: tuple[str, str], sentence: str
) -> None:
    quoted = PASSWORD.replace(" ", "%20")
    names = {"PASSWORD": quoted, "PORT": str(postgresql.port)}
    before, after = change
    for name, value in names.items():
        before = before.replace(name, value)
    url = postgresql.url("postgres")
    assert before in url
    database = open_database(url.replace(before, after))
    for act in (database.migrate, lambda: add_fact(database, "x")):
        with pytest.raises(StorageError, match=f"^The PostgreSQL database .* cannot be used: {sentence}") as caught:
            act()
        assert "\n" not in str(caught.value)
        assert PASSWORD not in str(caught.value) and quoted not in str(caught.value)
    with pytest.raises(StorageError):
        database.schema_state()


@pytest.mark.parametrize(
    ("url", "sentence"),
    [
        ("secret word", r"is not a URL: write postgresql://"),
        ("mysql://me:secret@host/stems", r"names mysql, which is not supported: write postgresql://"),
        ("postgresql://me:secret@host:port/stems", r"is not a URL: write postgresql://"),
    ],
)
def test_what_is_no_url_is_refused_without_showing_it(url: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=f"^STEMWRIGHT_DATABASE_URL {sentence}") as caught:
        Database(url)
    assert "secret" not in str(caught.value)


def test_settings_do_not_show_the_password(tmp_path: Path) -> None:
    settings = read_settings(data=tmp_path, database_url="postgresql://me:secret@host/stems")
    assert "secret" not in repr(settings) + str(settings.model_dump())


def test_a_database_without_tables_says_so(empty_postgresql_url: str, open_database: OpenDatabase) -> None:
    with pytest.raises(DatabaseUnavailableError, match="has no tables of this release yet: start `stemwright serve`"):
        add_fact(open_database(empty_postgresql_url), "x")


def test_a_restarted_server_is_found_again(postgresql: PostgresqlServer, database: Database) -> None:
    """An open transaction is lost, with a sentence; the next one gets a new connection."""
    add_fact(database, "before")
    with pytest.raises(DatabaseUnavailableError, match="cannot be used"), database.write() as session:
        session.add(tables.Fact(name="lost", value="x"))
        session.flush()
        postgresql.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name='stemwright'")
        session.get(tables.Fact, "before", populate_existing=True)
    add_fact(database, "after")
    with database.read() as session:
        names = session.scalars(sqlalchemy.select(tables.Fact.name)).all()
        assert {"before", "after"} <= set(names) and "lost" not in names


@pytest.mark.parametrize(
    ("state", "error", "sentence"),
    [
        (
            "53100",
            DatabaseUnavailableError,
            "No room is left on the disk of the PostgreSQL database .*: free some space",
        ),
        ("53300", DatabaseUnavailableError, "has no connections left: raise its max_connections, or run fewer"),
        (
            "55P03",
            DatabaseUnavailableError,
            "is overloaded, a lock was not free within 30 s: look for long transactions",
        ),
        ("25006", DatabaseUnavailableError, "is read-only, so it is a standby: let STEMWRIGHT_DATABASE_URL name the"),
        ("42501", DatabaseUnavailableError, "does not let this user do that: make the user the owner of the database"),
        ("57P01", DatabaseUnavailableError, "cannot be used: "),
        ("40001", TransactionConflictError, "was changed by another process at the same moment: try again"),
        ("22012", sqlalchemy.exc.DBAPIError, "trouble"),  # a wrong statement is a bug, and keeps its traceback
    ],
)
def test_the_servers_troubles_are_sentences(
    database: Database, state: str, error: type[Exception], sentence: str
) -> None:
    raises = f"DO $$ BEGIN RAISE EXCEPTION 'trouble' USING ERRCODE = '{state}'; END $$"
    with pytest.raises(error, match=sentence), database.write() as session:
        session.connection().exec_driver_sql(raises)
    add_fact(database, "after")


def test_a_connection_waits_for_nothing_without_end(database: Database) -> None:
    with database.read() as session:
        for name, value in (("lock_timeout", "30s"), ("idle_in_transaction_session_timeout", "1min")):
            assert session.scalar(sqlalchemy.text(f"SHOW {name}")) == value
