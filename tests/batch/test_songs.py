"""Rows, leases and tokens, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from unittest.mock import Mock

import pytest
from sqlalchemy import update

from stemwright.batch.listing import ListedSong
from stemwright.batch.listing_run import CHUNK_SONGS, add_songs, count_songs
from stemwright.batch.songs import MAX_ATTEMPTS, BatchSongs, SongLease
from stemwright.database.engine import Database
from stemwright.database.tables import BatchSong
from stemwright.errors import StorageError, UnreadableInputError, UsageError
from tests.batch.conftest import OPTIONS

FACTS = {"path": "a.wav"}


def add(songs: BatchSongs, *paths: str, version: str = "1") -> None:
    songs.add([ListedSong(path, version) for path in paths])


def claimed(songs: BatchSongs, worker: str = "one", preferred: str | None = None) -> SongLease:
    lease = songs.claim(worker, preferred)
    assert lease is not None
    return lease


def expire(database: Database) -> None:
    with database.write() as session:
        session.execute(update(BatchSong).values(leased_until=0.0))


def test_a_batch_goes_on_only_with_its_own_options(database: Database, songs: BatchSongs) -> None:
    assert BatchSongs.begin(database, "/stems", OPTIONS).batch_id == songs.batch_id
    assert BatchSongs.begin(database, "/others", OPTIONS).batch_id != songs.batch_id
    with pytest.raises(UsageError, match=r"begun with stems two, not twelve and plan fast, not best: give the same"):
        BatchSongs.begin(database, "/stems", replace(OPTIONS, stems="twelve", plan="best"))
    assert BatchSongs.find(database, "/nowhere", OPTIONS) is None


def test_known_songs_are_left_alone_and_changed_ones_wait_again(songs: BatchSongs) -> None:
    add(songs, "b.wav", "a.wav")
    lease = claimed(songs)
    assert (lease.path, lease.version) == ("a.wav", "1")
    assert songs.finish(lease, FACTS, lambda: None)
    add(songs, "a.wav", "b.wav", "c.wav")
    assert songs.counts() == {"waiting": 2, "running": 0, "done": 1, "failed": 0}
    assert songs.known([ListedSong("a.wav", ""), ListedSong("z.wav", "")]) == {"a.wav": ("1", "done")}
    assert list(songs.done()) == [FACTS]
    add(songs, "a.wav", version="2")
    assert songs.counts()["waiting"] == 3
    assert list(songs.done()) == []


def test_a_running_song_that_changes_is_found_by_the_next_run(songs: BatchSongs) -> None:
    add(songs, "a.wav")
    lease = claimed(songs)
    add(songs, "a.wav", version="2")
    assert songs.finish(lease, FACTS, lambda: None)
    add(songs, "a.wav", version="2")
    assert songs.counts()["waiting"] == 1


def test_failures_are_kept_apart_until_they_are_tried_again(songs: BatchSongs) -> None:
    add(songs, "a.wav", "b.wav")
    assert songs.exit_code() == 0
    assert songs.fail(claimed(songs), UnreadableInputError("It is a text."))
    add(songs, "a.wav")
    assert list(songs.failures()) == [("a.wav", "It is a text.")]
    assert songs.exit_code() == UnreadableInputError.exit_code
    songs.retry_failed()
    assert claimed(songs).path == "a.wav"
    assert list(songs.failures()) == []


def test_a_name_that_no_database_can_hold_stays_a_failure(songs: BatchSongs) -> None:
    songs.add([ListedSong("a\\udcff.wav", "1", "It is not Unicode.")])
    songs.retry_failed()
    songs.add([ListedSong("a\\udcff.wav", "1", "It is not Unicode.")])
    assert list(songs.failures()) == [("a\\udcff.wav", "It is not Unicode.")]
    assert songs.is_finished()


def test_who_lost_the_lease_publishes_nothing_and_ends_nothing(songs: BatchSongs, database: Database) -> None:
    add(songs, "a.wav")
    late = claimed(songs, "late")
    assert songs.claim("other") is None
    assert not songs.is_finished()
    expire(database)
    lease = claimed(songs, "other")
    published: list[str] = []
    assert not songs.finish(late, FACTS, lambda: published.append("late"))
    assert not songs.extend(late)
    assert not songs.fail(late, UnreadableInputError("late"))
    assert not songs.release(late)
    assert songs.extend(lease)
    assert songs.finish(lease, FACTS, lambda: published.append("other"))
    assert published == ["other"]
    assert songs.is_finished()


def test_a_song_is_not_done_if_its_stems_cannot_be_published(songs: BatchSongs) -> None:
    add(songs, "a.wav")
    lease = claimed(songs)
    full = StorageError("The disk is full.")
    with pytest.raises(StorageError, match="The disk is full"):
        songs.finish(lease, FACTS, Mock(side_effect=full))
    assert songs.counts()["running"] == 1
    assert songs.finish(lease, FACTS, lambda: None)


def test_an_interrupted_song_is_preferred(songs: BatchSongs) -> None:
    add(songs, "a.wav", "b.wav", "c.wav")
    assert claimed(songs, preferred="b.wav").path == "b.wav"
    assert claimed(songs, preferred="b.wav").path == "a.wav"


def test_a_song_on_which_processes_die_fails_in_the_end(songs: BatchSongs, database: Database) -> None:
    add(songs, "a.wav")
    songs.release(claimed(songs))  # handed back: that does not count
    claimed(songs)
    songs.release_worker("one", counts=False)
    for _ in range(MAX_ATTEMPTS - 1):
        claimed(songs)
        assert songs.release_worker("one")
    assert not songs.release_worker("one")
    claimed(songs)
    expire(database)
    assert songs.claim("other") is None
    ((path, error),) = songs.failures()
    assert path == "a.wav" and "--retry-failed" in error
    songs.retry_failed()
    for _ in range(MAX_ATTEMPTS):
        claimed(songs)
        songs.release_worker("one")
    assert songs.counts()["failed"] == 1


def test_two_claims_never_get_the_same_song(songs: BatchSongs) -> None:
    add(songs, *(f"{number}.wav" for number in range(120)))

    def take_all(worker: str) -> list[str]:
        taken = []
        while lease := songs.claim(worker):
            assert songs.finish(lease, {"path": lease.path}, lambda: None)
            taken.append(lease.path)
        return taken

    with ThreadPoolExecutor(4) as pool:
        taken = Counter(path for paths in pool.map(take_all, "abcd") for path in paths)
    assert len(taken) == 120 and set(taken.values()) == {1}
    facts = [facts["path"] for facts in songs.done()]
    assert facts == sorted(taken)


def test_a_listing_is_written_while_it_is_read(songs: BatchSongs) -> None:
    """So memory does not grow with the library."""
    known: list[int] = []

    class Endless:
        name = "/music"

        def songs(self) -> Iterator[ListedSong]:
            for number in range(2 * CHUNK_SONGS + 1):
                if number % CHUNK_SONGS == 0:
                    known.append(songs.counts()["waiting"])
                yield ListedSong(f"{number}.mp3", "1")

        def fetch(self, path: str, folder: Path) -> Path:
            raise NotImplementedError

    told: list[int] = []
    assert add_songs(songs, Endless(), told.append) == told[-1] == 2 * CHUNK_SONGS + 1
    assert known == [0, CHUNK_SONGS, 2 * CHUNK_SONGS]
    assert count_songs(songs, Endless()) == {"waiting": 2 * CHUNK_SONGS + 1}
    assert count_songs(None, Endless()) == {"new": 2 * CHUNK_SONGS + 1}
