from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemwright.service.errors import InvalidRequest, NotFound
from stemwright.service.uploads import Uploads, clean_path
from stemwright.storage.blob import StoredBlob
from tests.service.conftest import Domain

SONG, OTHER = StoredBlob("ab" * 32, 3), StoredBlob("cd" * 32, 4)
DAY_S = 86_400.0


@pytest.fixture
def uploads(domain: Domain) -> Uploads:
    return Uploads(domain.database, domain.settings, domain.clock)


@pytest.fixture
def alice(domain: Domain) -> str:
    return domain.caller().account_id


def test_an_upload_is_its_accounts_own(domain: Domain, uploads: Uploads, alice: str) -> None:
    upload = uploads.add(alice, "/audio//song.mp3", SONG, "audio/mpeg")
    assert (upload.path, upload.blob, upload.size_bytes) == ("audio/song.mp3", SONG.digest, 3)
    assert upload.expires_at == domain.clock.now + 3 * DAY_S
    assert uploads.get(alice, upload.id) == upload
    bob = domain.caller("bob").account_id
    assert uploads.get(bob, upload.id) is None
    his = uploads.add(bob, "audio/song.mp3", OTHER, "audio/mpeg")
    assert his.id != upload.id and uploads.get(alice, upload.id) == upload


def test_the_same_path_again_takes_its_place(domain: Domain, uploads: Uploads, alice: str) -> None:
    first = uploads.add(alice, "audio/song.mp3", SONG, "audio/mpeg")
    domain.clock.now += 10
    second = uploads.add(alice, "audio/song.mp3", OTHER, "audio/wav")
    assert second.id == first.id and second.blob == OTHER.digest and second.expires_at == first.expires_at + 10
    assert uploads.get(alice, first.id) == second


def test_a_reserved_upload_is_filled_also_twice(uploads: Uploads, alice: str) -> None:
    reserved = uploads.reserve(alice, "crun/one.mp3", "audio/mpeg")
    assert reserved.blob is None
    assert uploads.fill(reserved.id, SONG).blob == SONG.digest
    assert uploads.fill(reserved.id, OTHER).size_bytes == 4
    assert uploads.reserve(alice, "crun/one.mp3", "audio/mpeg").blob == OTHER.digest


def test_an_upload_expires(domain: Domain, uploads: Uploads, alice: str) -> None:
    upload = uploads.reserve(alice, "crun/one.mp3", "audio/mpeg")
    domain.clock.now = upload.expires_at
    assert uploads.any(upload.id) is None and uploads.get(alice, upload.id) is None
    with pytest.raises(NotFound, match="expired; ask for a new link"):
        uploads.fill(upload.id, SONG)


def test_what_was_never_reserved_cannot_be_filled(uploads: Uploads) -> None:
    with pytest.raises(NotFound):
        uploads.fill("ab" * 16, SONG)


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("", "empty"),
        ("///", "empty"),
        ("a/../b", "must not contain"),
        ("./a", "must not contain"),
        ("a\\b", "character"),
        ("a\0b", "character"),
        ("a\nb", "character"),
        ("a\ud800", "character"),
        ("a" * 501, "more than 500"),
    ],
)
def test_paths_that_are_none_are_told(uploads: Uploads, alice: str, path: str, why: str) -> None:
    with pytest.raises(InvalidRequest, match=why):
        uploads.add(alice, path, SONG, "audio/mpeg")


@given(st.text(max_size=600))
def test_a_path_is_clean_or_refused(path: str) -> None:
    try:
        clean = clean_path(path)
    except InvalidRequest:
        return
    assert clean_path(clean) == clean
    assert not clean.startswith("/") and ".." not in clean.split("/") and "//" not in clean
