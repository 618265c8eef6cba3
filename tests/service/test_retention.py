from __future__ import annotations

import contextlib
import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from sqlalchemy import func, select, update

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.errors import StorageError
from stemwright.service.blobs import GRACE_PERIOD_S, BlobRecords
from stemwright.service.clock import Clock
from stemwright.service.ids import new_id
from stemwright.service.peaks_files import PeaksFiles
from stemwright.service.preview_reader import PreviewReader
from stemwright.service.retention import BATCH_ROWS, NOTHING_REMOVED, Retention, RetentionLoop, SweepResult
from stemwright.service.tracks import Track, Tracks, VendorTrack
from stemwright.service.uploads import Uploads
from stemwright.settings import Settings, read_settings
from stemwright.storage.local_copies import LocalCopies
from stemwright.storage.store import Store, StoredBlob
from tests.service.conftest import Domain, MovableClock, database_environment, sqlite_only

DAY_S = 86_400.0


def open_store(settings: Settings, database: Database, clock: Clock) -> Store:
    return Store.open(settings, BlobRecords(database, clock).record)


def put(store: Store, content: bytes) -> StoredBlob:
    with store.writer() as writer:
        writer.write(content)
        return writer.commit()


@pytest.fixture
def store(domain: Domain) -> Store:
    return open_store(domain.settings, domain.database, domain.clock)


@pytest.fixture
def retention(domain: Domain, store: Store) -> Retention:
    return Retention(domain.database, domain.settings, store, domain.clock, domain.clock)


def add_track(domain: Domain, blob: StoredBlob, account_id: str) -> Track:
    return domain.tracks.add_stored(account_id, blob, title="song")


def count(domain: Domain, table: type[tables.Base]) -> int:
    with domain.database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def deliver_all(domain: Domain) -> None:
    with domain.database.write() as session:
        session.execute(update(tables.Delivery).values(state="delivered"))


def test_everything_goes_when_its_time_is_over(domain: Domain, store: Store, retention: Retention) -> None:
    caller = domain.caller()
    song, upload = put(store, b"song"), put(store, b"upload")
    domain.tracks.add_stored(caller.account_id, song, title="song")
    Uploads(domain.database, domain.settings, domain.clock).add(caller.account_id, "a/b.mp3", upload, "audio/mpeg")
    domain.submit(caller, idempotency_key="once", body_digest="x")
    domain.succeed(domain.hold())
    deliver_all(domain)

    domain.clock.now += 3 * DAY_S - 1
    assert retention.sweep() == NOTHING_REMOVED
    domain.clock.now += 1
    assert retention.sweep() == replace(NOTHING_REMOVED, uploads=1)
    assert store.exists(upload.digest), "somebody may be reusing it at this moment"
    domain.clock.now += GRACE_PERIOD_S
    assert retention.sweep().blobs == 1
    assert store.exists(song.digest) and not store.exists(upload.digest)

    domain.clock.now += 11 * DAY_S
    assert retention.sweep() == replace(NOTHING_REMOVED, tasks=1, tracks=2, idempotency_keys=1)
    domain.clock.now += GRACE_PERIOD_S
    assert retention.sweep().blobs == 1
    left = (
        tables.Task,
        tables.Track,
        tables.Stem,
        tables.Delivery,
        tables.IdempotencyKey,
        tables.Blob,
    )
    assert [count(domain, table) for table in left] == [0] * len(left)
    assert list(store.digests()) == []


def test_a_task_under_way_keeps_itself_and_its_song(domain: Domain, store: Store, retention: Retention) -> None:
    caller = domain.caller()
    track = add_track(domain, put(store, b"song"), caller.account_id)
    domain.submit(caller, source_url=None, track_id=track.id)
    domain.clock.now += 15 * DAY_S
    assert retention.sweep() == NOTHING_REMOVED
    domain.hold()
    domain.clock.now += 15 * DAY_S
    assert retention.sweep() == NOTHING_REMOVED
    assert track.blob is not None and store.exists(track.blob)


def test_a_task_whose_callback_is_still_due_stays(domain: Domain, retention: Retention) -> None:
    task = domain.submit(domain.caller())
    domain.clock.now += 40 * DAY_S  # the clock jumped while it ran
    domain.succeed(domain.hold())
    assert retention.sweep().tasks == 0 and domain.deliveries(task.id) == 1
    deliver_all(domain)
    assert retention.sweep().tasks == 1


def test_a_key_is_remembered_as_long_as_its_task(domain: Domain, retention: Retention) -> None:
    caller = domain.caller()
    first = domain.submit(caller, idempotency_key="once", body_digest="x")
    domain.clock.now += 13 * DAY_S
    retention.sweep()
    assert domain.submit(caller, idempotency_key="once", body_digest="x").id == first.id
    domain.succeed(domain.hold())
    deliver_all(domain)
    domain.clock.now += 2 * DAY_S
    assert retention.sweep().idempotency_keys == 1
    assert domain.submit(caller, idempotency_key="once", body_digest="x").id != first.id


def test_the_same_song_of_two_accounts_expires_for_each(domain: Domain, retention: Retention) -> None:
    song = VendorTrack(new_id(), "https://example.org/a.mp3", "song", 0, 1.0, {})
    task_id, alice, bob = new_id(), domain.caller().account_id, domain.caller("bob").account_id
    domain.tracks.add_vendor(alice, task_id, [song])
    domain.clock.now += DAY_S
    domain.tracks.add_vendor(bob, task_id, [song])
    domain.clock.now += 13 * DAY_S
    assert retention.sweep().tracks == 1
    assert domain.tracks.get(alice, song.audio_id) is None and domain.tracks.get(bob, song.audio_id) is not None


def test_a_file_stays_while_anybody_needs_it(domain: Domain, store: Store, retention: Retention) -> None:
    blob = put(store, b"song")
    alice, bob = domain.caller().account_id, domain.caller("bob").account_id
    first, second = add_track(domain, blob, alice), add_track(domain, blob, bob)
    for track in (first, second):
        domain.clock.now += 2 * GRACE_PERIOD_S
        assert retention.sweep().blobs == 0 and store.exists(blob.digest)
        domain.tracks.delete(track.account_id, track.id)
    domain.clock.now += GRACE_PERIOD_S
    assert retention.sweep().blobs == 1 and not store.exists(blob.digest)


def test_peaks_stay_as_long_as_their_song(domain: Domain, store: Store, retention: Retention) -> None:
    song, drawn = put(store, b"a song"), put(store, b"its peaks")
    account_id = domain.keys.authenticate(domain.keys.create("alice").key).account_id
    track = add_track(domain, song, account_id)
    files = PeaksFiles(domain.database, store, LocalCopies(store, 0), PreviewReader())
    files.add(song.digest, drawn)
    domain.clock.now += 2 * GRACE_PERIOD_S
    assert retention.sweep().blobs == 0
    assert files.get(song.digest) == drawn
    domain.tracks.delete(account_id, track.id)
    domain.clock.now += 2 * GRACE_PERIOD_S
    assert retention.sweep().blobs == 1 and not store.exists(song.digest)
    assert count(domain, tables.Peaks) == 0
    domain.clock.now += 2 * GRACE_PERIOD_S
    assert retention.sweep().blobs == 1 and not store.exists(drawn.digest)
    files.add(song.digest, drawn)  # of a worker that was late: it must not keep the file for ever
    assert count(domain, tables.Peaks) == 0


def test_a_file_stored_again_gets_another_hour(domain: Domain, store: Store, retention: Retention) -> None:
    blob = put(store, b"song")
    for again in (lambda: put(store, b"song"), lambda: store.renew(blob.digest)):
        put(store, b"song")
        domain.clock.now += GRACE_PERIOD_S
        assert again()
        assert retention.sweep().blobs == 0
        domain.clock.now += GRACE_PERIOD_S - 1
        assert retention.sweep().blobs == 0
        domain.clock.now += 1
        assert retention.sweep().blobs == 1
        assert not store.renew(blob.digest)


def test_more_than_a_batch_goes_in_one_sweep(domain: Domain, store: Store, retention: Retention) -> None:
    account = domain.caller().account_id
    with domain.database.write() as session:
        for number in range(2 * BATCH_ROWS + 1):
            session.add(
                tables.Upload(
                    id=new_id(), account_id=account, path=str(number), media_type="", created_at=0, expires_at=1
                )
            )
    assert retention.sweep().uploads == 2 * BATCH_ROWS + 1


def test_a_file_that_the_database_does_not_know_is_found(domain: Domain, store: Store, retention: Retention) -> None:
    stray = put(Store.open(domain.settings), b"from another time")
    assert retention.sweep().blobs == 0 and store.exists(stray.digest)
    domain.clock.now += GRACE_PERIOD_S
    assert retention.sweep().blobs == 1 and not store.exists(stray.digest)


def test_a_file_that_is_gone_already_is_forgotten(domain: Domain, store: Store, retention: Retention) -> None:
    store.delete(put(store, b"song").digest)
    domain.clock.now += GRACE_PERIOD_S
    assert retention.sweep().blobs == 1 and count(domain, tables.Blob) == 0


def test_abandoned_files_go(domain: Domain, store: Store, retention: Retention) -> None:
    abandoned = domain.settings.data / "files" / ".incoming" / "abandoned"
    abandoned.write_bytes(b"half a so")
    os.utime(abandoned, (time.time() - 90_000, time.time() - 90_000))
    assert retention.sweep().abandoned_files == 1 and not abandoned.exists()


def test_a_file_that_cannot_be_deleted_stops_no_other(
    domain: Domain,
    store: Store,
    retention: Retention,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    stuck, other = put(store, b"stuck"), put(store, b"other")
    delete = store.delete

    def fail(digest: str) -> None:
        if digest == stuck.digest:
            raise StorageError("The folder cannot be written.")
        delete(digest)

    domain.clock.now += GRACE_PERIOD_S
    with monkeypatch.context() as patch:
        patch.setattr(store, "delete", fail)
        assert retention.sweep().blobs == 1
    assert "trying again later: The folder cannot be written" in caplog.text
    assert store.exists(stuck.digest) and not store.exists(other.digest)
    assert retention.sweep().blobs == 1 and not store.exists(stuck.digest)


@sqlite_only  # test_concurrency has it for PostgreSQL
def test_a_file_stored_again_while_it_is_swept_is_there(domain: Domain, store: Store, retention: Retention) -> None:
    """Both at once, many times: whichever comes first, what a commit has promised is there."""
    digest = put(store, b"song").digest
    retention.sweep()
    both = threading.Barrier(2)
    swept = []

    def sweep() -> None:
        both.wait()
        swept.append(retention.sweep().blobs)

    for number in range(60):
        with domain.database.write() as session:
            session.execute(update(tables.Blob).values(created_at=0.0))
        thread = threading.Thread(target=sweep)
        thread.start()
        both.wait()
        time.sleep(number % 12 * 0.001)
        put(store, b"song")
        thread.join()
        assert store.exists(digest), "the file went although it had just been stored"
        assert count(domain, tables.Blob) == 1
    assert sum(swept) > 0, "no sweep was ever first: this test shows nothing"


class Lives(RuleBasedStateMachine):
    """Files, rows and time in any order: a row's file is always there, and so is one that was stored within the hour."""

    def __init__(self) -> None:
        super().__init__()
        self.stack = contextlib.ExitStack()
        settings = read_settings(data=Path(self.stack.enter_context(tempfile.TemporaryDirectory())))
        self.clock = MovableClock()
        self.database = Database.in_folder(settings.data)
        self.stack.callback(self.database.close)
        self.database.migrate()
        with self.database.write() as session:
            session.add(tables.Account(id="ac" * 16, name="alice", created_at=0.0))
        self.store = open_store(settings, self.database, self.clock)
        self.retention = Retention(self.database, settings, self.store, self.clock, self.clock)
        self.tracks = Tracks(self.database, settings, self.clock)
        self.uploads = Uploads(self.database, settings, self.clock)
        self.promised: dict[str, float] = {}
        self.rows: list[Track] = []

    def teardown(self) -> None:
        self.stack.close()

    @rule(content=st.sampled_from([b"a", b"b", b"c"]))
    def store_file(self, content: bytes) -> None:
        blob = put(self.store, content)
        self.promised[blob.digest] = self.clock.now + GRACE_PERIOD_S

    @rule(content=st.sampled_from([b"a", b"b", b"c"]))
    def renew(self, content: bytes) -> None:
        digest = hashlib.sha256(content).hexdigest()
        if self.store.renew(digest):
            self.promised[digest] = self.clock.now + GRACE_PERIOD_S

    @rule(data=st.data())
    def add_row(self, data: st.DataObject) -> None:
        fresh = [digest for digest, until in self.promised.items() if until > self.clock.now]
        if fresh:
            blob = StoredBlob(data.draw(st.sampled_from(fresh)), 1)
            if data.draw(st.booleans()):
                self.rows.append(self.tracks.add_stored("ac" * 16, blob, title="song"))
            else:
                self.uploads.add("ac" * 16, data.draw(st.sampled_from(["x", "y"])), blob, "audio/mpeg")

    @rule(data=st.data())
    def delete_row(self, data: st.DataObject) -> None:
        live = [row for row in self.rows if self.tracks.get("ac" * 16, row.id) is not None]
        if live:
            row = data.draw(st.sampled_from(live))
            self.tracks.delete("ac" * 16, row.id)

    @rule(seconds=st.sampled_from([1.0, GRACE_PERIOD_S / 2, GRACE_PERIOD_S, DAY_S, 3 * DAY_S, 14 * DAY_S]))
    def wait(self, seconds: float) -> None:
        self.clock.now += seconds

    @rule()
    def sweep(self) -> None:
        self.retention.sweep()

    @invariant()
    def what_is_needed_is_there(self) -> None:
        with self.database.read() as session:
            needed = {*session.scalars(select(tables.Track.blob)), *session.scalars(select(tables.Upload.blob))}
        needed |= {digest for digest, until in self.promised.items() if until > self.clock.now}
        assert needed <= set(self.store.digests())

    @rule()
    def what_is_not_needed_goes_in_the_end(self) -> None:
        self.retention.sweep()
        self.clock.now += GRACE_PERIOD_S
        self.retention.sweep()
        with self.database.read() as session:
            needed = {*session.scalars(select(tables.Track.blob)), *session.scalars(select(tables.Upload.blob))}
            noted = set(session.scalars(select(tables.Blob.digest)))
        assert set(self.store.digests()) == needed == noted


TestLives = Lives.TestCase
TestLives.settings = hypothesis_settings(max_examples=10, stateful_step_count=25)


SWEEPS = """
import sys
from pathlib import Path
from stemwright.database.engine import Database
from stemwright.service.blobs import BlobRecords
from stemwright.service.retention import Retention
from stemwright.settings import read_settings
from stemwright.storage.local_copies import LocalCopies
from stemwright.storage.store import Store

settings = read_settings(data=Path(sys.argv[1]))
database = Database.open(settings)
now = float(sys.argv[2])
store = Store.open(settings, BlobRecords(database, lambda: now).record)
Retention(database, settings, store, lambda: now, lambda: now).sweep()
"""


def test_kill_while_it_sweeps(domain: Domain, store: Store, retention: Retention) -> None:
    blobs = [put(store, str(number).encode()) for number in range(120)]
    kept = blobs[::3]
    account_id = domain.caller().account_id
    for blob in kept:
        add_track(domain, blob, account_id)
    domain.clock.now += GRACE_PERIOD_S
    for target in (119, 110, 100):
        command = [sys.executable, "-c", SWEEPS, str(domain.settings.data), str(domain.clock.now)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, env=database_environment(domain))
        while len(there := set(store.digests())) > target:
            assert process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=240)
        assert {blob.digest for blob in kept} <= there
        if target == 119:
            assert len(there) > len(kept), "the kill came too late"
    retention.sweep()
    assert set(store.digests()) == {blob.digest for blob in kept}
    assert count(domain, tables.Blob) == len(kept)


@pytest.fixture
def loop(retention: Retention) -> Iterator[RetentionLoop]:
    loop = RetentionLoop(retention, interval_s=0.02)
    yield loop
    loop.stop()


def test_the_loop_sweeps_on_after_a_failure(
    retention: Retention, loop: RetentionLoop, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    outcomes = iter([RuntimeError("the disk is gone")])
    swept = threading.Event()

    def sweep() -> SweepResult:
        for outcome in outcomes:
            raise outcome
        swept.set()
        return NOTHING_REMOVED

    monkeypatch.setattr(retention, "sweep", sweep)
    loop.start()
    assert swept.wait(240)
    assert "the sweep failed" in caplog.text and "the disk is gone" in caplog.text
