from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stemwright.errors import StorageError, UsageError
from stemwright.settings import read_settings
from stemwright.storage.blob import BlobMissing
from stemwright.storage.folder import FolderBackend
from stemwright.storage.store import INCOMING_FOLDER, Store, StoredBlob

SONG = bytes(range(256)) * 4096  # 1 MiB: several pieces


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def put(store: Store, content: bytes) -> StoredBlob:
    with store.writer() as writer:
        writer.write(content)
        return writer.commit()


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    url = request.getfixturevalue("bucket") if request.param == "bucket" else None
    return Store.open(read_settings(data=tmp_path / "data", storage_url=url))


def test_a_file_comes_back_whole_and_in_ranges(store: Store) -> None:
    blob = put(store, SONG)
    assert blob == StoredBlob(digest_of(SONG), len(SONG))
    assert store.exists(blob.digest) and store.size(blob.digest) == len(SONG)
    assert b"".join(store.read(blob.digest)) == SONG
    for start, end in ((0, 1), (5, 5), (300_000, 700_001), (len(SONG) - 1, len(SONG)), (0, len(SONG))):
        assert b"".join(store.read(blob.digest, start, end)) == SONG[start:end]
    assert b"".join(store.read(blob.digest, 1000)) == SONG[1000:]
    assert list(store.digests()) == [blob.digest]


def test_a_file_of_nothing_is_a_file(store: Store) -> None:
    blob = put(store, b"")
    assert store.size(blob.digest) == 0
    assert b"".join(store.read(blob.digest, 0, 0)) == b""


def test_the_same_bytes_are_there_once(store: Store) -> None:
    assert put(store, SONG) == put(store, SONG)
    assert len(list(store.digests())) == 1


def test_what_is_not_committed_leaves_nothing(store: Store, tmp_path: Path) -> None:
    with store.writer() as writer:
        writer.write(SONG)
    with pytest.raises(RuntimeError), store.writer() as writer:
        writer.write(SONG)
        raise RuntimeError("the client is gone")
    assert list(store.digests()) == []
    assert files_in(tmp_path / "data") == []


def test_a_writer_ends_once(store: Store) -> None:
    with store.writer() as writer:
        writer.commit()
        with pytest.raises(ValueError, match="not open"):
            writer.commit()
        with pytest.raises(ValueError, match="not open"):
            writer.write(b"more")


def test_missing_files_are_told_so(store: Store) -> None:
    nothing = digest_of(b"nothing")
    assert not store.exists(nothing) and store.local_path(nothing) is None and not store.renew(nothing)
    store.delete(nothing)
    with pytest.raises(BlobMissing, match="no longer in the store"):
        store.size(nothing)
    with pytest.raises(BlobMissing):
        list(store.read(nothing))
    with pytest.raises(BlobMissing), store.as_file(nothing):
        pass


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "AB" * 32, "ab" * 31, "ab" * 32 + "\n"])
def test_what_is_no_digest_names_no_file(store: Store, name: str) -> None:
    with pytest.raises(ValueError, match="is not a SHA-256"):
        store.exists(name)


def test_a_deleted_file_is_gone(store: Store) -> None:
    blob = put(store, SONG)
    store.delete(blob.digest)
    assert not store.exists(blob.digest)


def test_a_file_that_is_deleted_while_it_is_read_is_read_to_its_end(tmp_path: Path) -> None:
    store = Store.open(read_settings(data=tmp_path))
    blob = put(store, SONG)
    pieces = store.read(blob.digest)
    first = next(pieces)
    store.delete(blob.digest)
    assert first + b"".join(pieces) == SONG


def test_a_whole_file_is_moved_in(store: Store, tmp_path: Path) -> None:
    path = tmp_path / "stem.wav"
    path.write_bytes(SONG)
    blob = store.put_file(path)
    assert blob == StoredBlob(digest_of(SONG), len(SONG)) and not path.exists()
    assert b"".join(store.read(blob.digest)) == SONG


def test_a_file_that_is_not_there_cannot_be_moved_in(store: Store, tmp_path: Path) -> None:
    with pytest.raises(StorageError):
        store.put_file(tmp_path / "nothing.wav")


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="there is no second file system here")
def test_a_file_of_another_file_system_is_moved_in(tmp_path: Path) -> None:
    store = Store.open(read_settings(data=tmp_path))
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        path = Path(folder, "stem.wav")
        path.write_bytes(SONG)
        assert path.stat().st_dev != tmp_path.stat().st_dev
        blob = store.put_file(path)
        assert not path.exists()
    assert b"".join(store.read(blob.digest)) == SONG
    assert files_in(tmp_path / "files" / INCOMING_FOLDER) == []


def test_a_file_lies_on_this_machine_while_it_is_used(store: Store, tmp_path: Path) -> None:
    blob = put(store, SONG)
    with store.as_file(blob.digest) as path:
        assert path.read_bytes() == SONG
    assert path.exists() == (store.local_path(blob.digest) is not None)
    assert files_in(tmp_path / "data" / "files" / INCOMING_FOLDER) == []


class CheckingFolder(FolderBackend):
    """A folder that asks, before it takes a file, whether it was told of it."""

    def __init__(self, root: Path, notes: list[StoredBlob]) -> None:
        super().__init__(root)
        self.notes = notes

    def place(self, path: Path, digest: str) -> None:
        assert self.notes[-1].digest == digest, "the file would get its name before anybody knows of it"
        super().place(path, digest)


def test_every_file_is_noted_before_it_has_its_name(tmp_path: Path) -> None:
    notes: list[StoredBlob] = []
    (tmp_path / INCOMING_FOLDER).mkdir()
    store = Store(CheckingFolder(tmp_path, notes), tmp_path / INCOMING_FOLDER, notes.append)
    blob = put(store, SONG)
    (tmp_path / "stem").write_bytes(b"stem")
    stem = store.put_file(tmp_path / "stem")
    assert store.renew(blob.digest)
    assert put(store, SONG) == blob
    assert notes == [blob, stem, blob, blob]


def test_a_note_that_fails_stores_nothing(tmp_path: Path) -> None:
    def fail(_blob: StoredBlob) -> None:
        raise RuntimeError("the database is locked")

    store = Store.open(read_settings(data=tmp_path), fail)
    with pytest.raises(RuntimeError):
        put(store, SONG)
    assert list(store.digests()) == [] and files_in(tmp_path) == []


def test_abandoned_files_are_swept_and_others_are_not(tmp_path: Path) -> None:
    store = Store.open(read_settings(data=tmp_path))
    abandoned = tmp_path / "files" / INCOMING_FOLDER / "abandoned"
    abandoned.write_bytes(b"half a so")
    os.utime(abandoned, (time.time() - 100, time.time() - 100))
    with store.writer() as writer:
        writer.write(SONG)
        assert store.sweep(older_than_s=50) == 1
        blob = writer.commit()
    assert not abandoned.exists() and store.exists(blob.digest)


def test_strangers_files_in_the_folder_are_nobodys_business(tmp_path: Path) -> None:
    store = Store.open(read_settings(data=tmp_path))
    blob = put(store, SONG)
    (tmp_path / "files" / "README").write_text("mine")
    (tmp_path / "files" / blob.digest[:2] / "notes.txt").write_text("mine too")
    assert list(store.digests()) == [blob.digest]


@given(st.lists(st.binary(max_size=100)), st.data())
def test_pieces_and_ranges_of_any_size(pieces: list[bytes], data: st.DataObject) -> None:
    content = b"".join(pieces)
    start = data.draw(st.integers(0, len(content)))
    end = data.draw(st.integers(start, len(content)))
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(read_settings(data=Path(folder)))
        with store.writer() as writer:
            for piece in pieces:
                writer.write(piece)
            assert writer.size_bytes == len(content)
            blob = writer.commit()
        assert blob.digest == digest_of(content)
        assert b"".join(store.read(blob.digest, start, end)) == content[start:end]


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    (tmp_path / "data").write_text("a file where the folder should be")
    yield tmp_path / "data"


def test_a_folder_that_cannot_be_made_is_told(read_only: Path) -> None:
    with pytest.raises(StorageError, match="could not be written"):
        Store.open(read_settings(data=read_only))


def test_a_storage_url_of_no_known_kind_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"STEMWRIGHT_STORAGE_URL cannot be used.*write s3://bucket"):
        Store.open(read_settings(data=tmp_path, storage_url="gopher://old"))
