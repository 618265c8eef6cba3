"""From SQLite to PostgreSQL: all of it, or nothing; and again after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import func, select

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.errors import StorageError, UsageError
from stemwright.jobs.open_queue import open_queue
from stemwright.service import server_state, table_copy
from stemwright.service.blobs import BlobRecords
from stemwright.service.credit_ledger import Ledger
from stemwright.service.installation_move import NOT_COPIED, InstallationMove
from stemwright.service.keys import Keys
from stemwright.service.table_copy import TableDigest, table_digest
from stemwright.service.task import Task
from stemwright.settings import read_settings
from stemwright.storage.store import Store, StoredBlob
from tests.service.conftest import Domain, OpenDomain, sqlite_only
from tests.waiting import wait_until

pytestmark = sqlite_only  # the source; the target is PostgreSQL


@dataclass(frozen=True)
class Installation:
    """A server's data folder with something in each state, and a new database."""

    domain: Domain
    store: Store
    key: str
    waiting: Task
    target_url: str
    target_folder: Path

    def move(self, report: object = None) -> object:
        target = Database(self.target_url)
        files = Store.open(read_settings(data=self.target_folder))
        try:
            move = InstallationMove(self.domain.database, target, self.store, files, open_queue(target))
            return move.run(report or (lambda _what, _done, _total: None))  # type: ignore[arg-type]
        finally:
            target.close()


@pytest.fixture
def installation(open_domain: OpenDomain, empty_postgresql_url: str, tmp_path: Path) -> Installation:
    domain = open_domain(rate_limit="0")
    store = Store.open(domain.settings, BlobRecords(domain.database, domain.clock).record)
    key = domain.keys.create("alice", credits_hundredths=100_000).key
    caller = domain.keys.authenticate(key)
    server_state.secret(domain.database, "link_secret")
    for number in range(40):
        blob = put(store, f"song {number}".encode())
        domain.tracks.add_stored(caller.account_id, blob, title=f"S\0ng {number}", media_type="audio/mpeg")
    domain.submit(caller, request={"title": "a\0b \ud83d"})
    assert domain.succeed(domain.hold())
    domain.submit(caller)
    failed = domain.hold()
    assert domain.work.fail(failed.task_id, failed.token, 500, "no")
    domain.submit(caller)
    domain.hold()  # a worker had it when the server was stopped
    return Installation(domain, store, key, domain.submit(caller), empty_postgresql_url, tmp_path / "moved")


@pytest.fixture
def target(empty_postgresql_url: str) -> Iterator[Database]:
    """Opened by the test, as an open connection is one that uses the target."""
    database = Database(empty_postgresql_url)
    yield database
    database.close()


def put(store: Store, content: bytes) -> StoredBlob:
    with store.writer() as writer:
        writer.write(content)
        return writer.commit()


def digests(database: Database) -> dict[str, TableDigest]:
    copied = [table for table in tables.Base.metadata.sorted_tables if table.name not in NOT_COPIED]
    with database.read() as session:
        return {table.name: table_digest(session.connection(), table) for table in copied}


def test_all_is_there_and_goes_on(installation: Installation, target: Database) -> None:
    domain, seen = installation.domain, list[tuple[str, int, int]]()
    moved = installation.move(lambda *progress: seen.append(progress))
    assert moved == type(moved)(rows=moved.rows, files=40, copied=40, missing=0, queued=2)  # type: ignore[attr-defined,call-arg]
    assert digests(target) == digests(domain.database)
    assert ("files", 40, 40) in seen and ("tracks", 44, 44) in seen
    files = Store.open(read_settings(data=installation.target_folder))
    assert set(files.digests()) == set(installation.store.digests())
    assert server_state.secret(target, "link_secret") == server_state.secret(domain.database, "link_secret")
    queue, caller = open_queue(target), Keys(target).authenticate(installation.key)
    assert queue.depth() == 2
    assert {lease.task_id for lease in (queue.claim("w", 60.0), queue.claim("w", 60.0)) if lease} >= {
        installation.waiting.id
    }
    ledger = Ledger(target)
    ledger.grant("alice", 500)  # numbered after the entries that were copied
    assert ledger.imbalance() == {}
    assert len(ledger.entries(caller.account_id)) == len(domain.ledger.entries(caller.account_id)) + 1


def test_a_second_run_changes_nothing(installation: Installation, target: Database) -> None:
    installation.move()
    Ledger(target).grant("alice", 500)
    target.close()
    again = installation.move()
    assert again.copied == 0  # type: ignore[attr-defined]
    with target.read() as session:
        assert session.scalar(select(func.count()).where(tables.CreditEntry.reason == "grant")) == 2


def test_an_error_while_rows_are_copied_leaves_an_empty_target(installation: Installation, target: Database) -> None:
    def stop(what: str, _done: int, _total: int) -> None:
        if what == "tracks":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        installation.move(stop)
    with target.read() as session:
        assert session.scalar(select(func.count()).select_from(tables.Account)) == 0
    target.close()
    assert installation.move().copied == 0  # type: ignore[attr-defined]  # the files were there
    assert digests(target) == digests(installation.domain.database)


@pytest.mark.long
def test_after_a_kill_it_goes_on(installation: Installation, target: Database) -> None:
    files = Store.open(read_settings(data=installation.target_folder))
    source = installation.domain.settings.data
    command = [sys.executable, "-m", "stemwright", "migrate", str(source), "--data", str(installation.target_folder)]
    environment = {**os.environ, "STEMWRIGHT_DATABASE_URL": installation.target_url}
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE)
    wait_until(lambda: len(list(files.digests())) >= 3 or process.poll() is not None, "some files are there")
    process.send_signal(signal.SIGKILL)
    process.communicate()
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    while "is in use" in ended.stderr:  # the database has not noticed yet that the killed one is gone
        ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    assert "40 files to the PostgreSQL database" in ended.stdout and "2 unfinished tasks" in ended.stdout
    assert "tracks: 44" in ended.stderr or process.returncode == 0
    assert digests(target) == digests(installation.domain.database)
    assert set(files.digests()) == set(installation.store.digests())


def test_a_target_in_use_is_refused(installation: Installation, target: Database) -> None:
    target.migrate()
    with target.read() as session:
        session.get(tables.Fact, "x")
        with pytest.raises(UsageError, match=r"at 127.0.0.1:\d+ is in use: stop all servers, workers"):
            installation.move()
    target.close()
    with target.write() as session:
        session.add(tables.Account(id="ab" * 16, name="somebody", created_at=0.0))
    target.close()
    with pytest.raises(UsageError, match="is not empty, its table accounts has 1 row: name a new database"):
        installation.move()
    assert not list(Store.open(read_settings(data=installation.target_folder)).digests())


def test_sqlite_is_no_target(installation: Installation, tmp_path: Path) -> None:
    target = Database.in_folder(tmp_path / "other")
    move = InstallationMove(installation.domain.database, target, installation.store, None, open_queue(target))
    with pytest.raises(UsageError, match="names no PostgreSQL database to move to: set it to postgresql://"):
        move.run(lambda *_: None)
    target.close()


def test_a_damaged_file_is_found_and_a_missing_one_counted(installation: Installation, target: Database) -> None:
    first, second = sorted(installation.store.digests())[:2]
    installation.store.delete(second)
    path = installation.store.local_path(first)
    assert path is not None
    content = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(b"something else")
    with pytest.raises(StorageError, match=f"The file {first} is damaged"):
        installation.move()
    assert first not in set(Store.open(read_settings(data=installation.target_folder)).digests())
    path.write_bytes(content)
    assert installation.move().missing == 1  # type: ignore[attr-defined]


def test_a_table_that_did_not_arrive_as_it_was_undoes_all(
    installation: Installation, target: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = table_copy.set_sequences

    def lose_a_row(connection: object, table: object) -> None:
        if getattr(table, "name", "") == "tracks":
            connection.exec_driver_sql("DELETE FROM tracks WHERE right(title, 2) = '39'")  # type: ignore[attr-defined]
        real(connection, table)  # type: ignore[arg-type]

    monkeypatch.setattr("stemwright.service.installation_move.set_sequences", lose_a_row)
    with pytest.raises(StorageError, match=r"tracks did not arrive as it was \(44 and 43 rows\): nothing was kept"):
        installation.move()
    assert digests(target)["accounts"].rows == 0
