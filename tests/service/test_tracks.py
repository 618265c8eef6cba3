from __future__ import annotations

import pytest

from stemwright.service.errors import Conflict, NotFound
from stemwright.service.ids import dashed, new_id, parse_id
from stemwright.service.tracks import VendorTrack
from stemwright.storage.store import StoredBlob
from tests.service.conftest import Domain

BLOB = StoredBlob("cd" * 32, 1234)


def test_a_track_is_found_by_both_ids_and_by_its_account_only(domain: Domain) -> None:
    alice, bob = domain.caller("alice").account_id, domain.caller("bob").account_id
    track = domain.tracks.add_stored(alice, BLOB, title="song", file_name="song.mp3")
    assert domain.tracks.find(alice, track.task_id, track.id) == track
    assert domain.tracks.find(alice, new_id(), track.id) is None
    assert domain.tracks.find(bob, track.task_id, track.id) is None
    assert domain.tracks.of_task(bob, track.task_id) == []
    with pytest.raises(NotFound):
        domain.tracks.delete(bob, track.id)
    domain.tracks.delete(alice, track.id)
    assert domain.tracks.get(alice, track.id) is None


def test_two_accounts_may_use_one_song_of_the_vendors(domain: Domain) -> None:
    alice, bob = domain.caller("alice").account_id, domain.caller("bob").account_id
    task_id = new_id()
    songs = [
        VendorTrack(new_id(), f"https://example.org/{n}.mp3", f"take {n}", n, 201.5, {"tags": "rock"}) for n in (0, 1)
    ]
    for account in (alice, bob, alice):
        made = domain.tracks.add_vendor(account, task_id, songs)
        assert [(track.id, track.position, track.url) for track in made] == [
            (song.audio_id, song.position, song.url) for song in songs
        ]
    domain.tracks.set_audio(alice, songs[0].audio_id, BLOB, media_type="audio/mpeg")
    assert [track.blob for track in domain.tracks.of_task(alice, task_id)] == [BLOB.digest, None]
    assert [track.blob for track in domain.tracks.of_task(bob, task_id)] == [None, None]


def test_a_track_under_separation_is_not_deleted(domain: Domain) -> None:
    caller = domain.caller()
    track = domain.tracks.add_stored(caller.account_id, BLOB, title="song")
    task = domain.submit(caller, track_id=track.id, source_url=None)
    with pytest.raises(Conflict):
        domain.tracks.delete(caller.account_id, track.id)
    domain.tasks.cancel(caller.account_id, task.id)
    domain.tracks.delete(caller.account_id, track.id)
    assert domain.tasks.get(caller.account_id, task.id) is not None


@pytest.mark.parametrize("text", [None, 7, "", "0" * 31, "0" * 33, "g" * 32, "0-" * 16, "0" * 31 + "-"])
def test_what_is_no_id(text: object) -> None:
    assert parse_id(text) is None


def test_both_spellings_are_one_id() -> None:
    made = new_id()
    assert parse_id(dashed(made)) == parse_id(made.upper()) == parse_id(f" {made} ") == made
