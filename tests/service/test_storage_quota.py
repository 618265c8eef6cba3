"""The quota of stored bytes: what counts, what is refused, and that nothing is left of what is refused."""

from __future__ import annotations

import pytest
from sqlalchemy import delete, select

from stemwright.database import tables
from stemwright.service.errors import InvalidRequest, NotFound, QuotaExceeded
from stemwright.service.storage_quota import StorageQuota
from stemwright.service.tracks import StoredSong
from stemwright.service.uploads import Uploads
from stemwright.storage.blob import StoredBlob
from tests.service.conftest import Domain, OpenDomain

MB = 1_000_000


def blob(number: int, size_bytes: int = MB) -> StoredBlob:
    return StoredBlob(f"{number:064x}", size_bytes)


@pytest.fixture
def domain(open_domain: OpenDomain) -> Domain:
    return open_domain(quota_mb=3, rate_limit="0")


def used(domain: Domain, account_id: str) -> int:
    return StorageQuota(domain.database, domain.settings).usage(account_id).used_bytes


def test_songs_uploads_and_stems_count_once_each_and_for_their_account_alone(domain: Domain) -> None:
    alice, bob = domain.caller(), domain.caller("bob")
    uploads = Uploads(domain.database, domain.settings, domain.clock)
    domain.tracks.add_stored(alice.account_id, blob(1), title="song")
    domain.tracks.add_stored(alice.account_id, blob(1), title="the same again")
    uploads.add(alice.account_id, "a.mp3", blob(1), "audio/mpeg")
    assert used(domain, alice.account_id) == MB
    uploads.add(alice.account_id, "a.mp3", blob(2), "audio/mpeg")
    assert used(domain, alice.account_id) == 2 * MB
    domain.submit(alice)
    domain.succeed(domain.hold())
    assert used(domain, alice.account_id) == 2 * MB + 100, "both stems of the test are one file of 100 bytes"
    with domain.database.write() as session:
        of_a_song, of_nobody = blob(1).digest, blob(9).digest
        of_a_stem = session.scalars(select(tables.Stem.blob)).first()
        for number, source in enumerate((of_a_song, of_nobody, of_a_stem)):
            session.add(tables.Peaks(source=source, blob=blob(20 + number).digest, size_bytes=10))
    assert used(domain, alice.account_id) == 2 * MB + 120, "peaks count too"
    with domain.database.write() as session:
        session.execute(delete(tables.Peaks))
    assert used(domain, bob.account_id) == 0
    with pytest.raises(QuotaExceeded, match=r"3\.0 MB, is used up: delete songs"):
        domain.tracks.add_stored(alice.account_id, blob(3), title="too much")
    with pytest.raises(QuotaExceeded):
        uploads.add(alice.account_id, "b.mp3", blob(3), "audio/mpeg")
    with pytest.raises(QuotaExceeded):
        domain.submit(alice, source_url=None, song=StoredSong(blob(3), "song", None, None))
    assert used(domain, alice.account_id) == 2 * MB + 100
    domain.tracks.add_stored(bob.account_id, blob(3), title="bob's own room")
    uploads.add(alice.account_id, "a.mp3", blob(1), "audio/mpeg")  # takes the place of another megabyte
    domain.tracks.add_stored(alice.account_id, blob(3), title="now there is room")


def test_a_full_account_orders_nothing_and_pays_nothing(domain: Domain) -> None:
    alice = domain.caller(credits=50)
    domain.tracks.add_stored(alice.account_id, blob(1, 3 * MB), title="song")
    with pytest.raises(QuotaExceeded):
        domain.submit(alice)
    assert domain.ledger.balance(alice.account_id) == 5000 and domain.tasks.list(alice.account_id) == []


def test_a_fetched_song_that_does_not_fit_is_not_kept(domain: Domain) -> None:
    alice = domain.caller()
    task = domain.submit(alice)
    with pytest.raises(QuotaExceeded):
        domain.tracks.set_audio(alice.account_id, task.track_id, blob(1, 4 * MB))
    track = domain.tracks.get(alice.account_id, task.track_id)
    assert track is not None and track.blob is None


def test_an_account_may_have_a_quota_of_its_own(domain: Domain) -> None:
    quota, alice = StorageQuota(domain.database, domain.settings), domain.caller().account_id
    assert quota.room(alice) == 3 * MB
    quota.set("alice", 5)
    assert quota.room(alice, 5 * MB) == 5 * MB
    with pytest.raises(QuotaExceeded):
        quota.room(alice, 5 * MB + 1)
    quota.set("alice", 0)
    assert quota.room(alice) is None
    quota.set("alice", None)
    assert quota.room(alice) == 3 * MB
    with pytest.raises(NotFound):
        quota.set("nobody", 1)
    with pytest.raises(InvalidRequest):
        quota.set("alice", -1)


def test_by_default_there_is_none(open_domain: OpenDomain) -> None:
    domain = open_domain()
    alice = domain.caller().account_id
    domain.tracks.add_stored(alice, blob(1, 10**12), title="a large one")
    assert StorageQuota(domain.database, domain.settings).room(alice) is None
