"""Songs and stems in an object store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import obstore
from obstore.store import ObjectStore

from stemwright.batch.listing import ListedSong, listed_song
from stemwright.cache import writable_cache_folder
from stemwright.errors import StorageError, UnreadableInputError, storage_error
from stemwright.storage.blob import PIECE_BYTES
from stemwright.storage.bucket import BucketBackend
from stemwright.storage.bucket_connection import connect
from stemwright.storage.bucket_errors import storage_errors
from stemwright.storage.bucket_upload import MAX_CONCURRENT_PARTS, PART_BYTES
from stemwright.storage.bucket_url import BucketUrl, parse_bucket_url
from stemwright.storage.s3 import S3Bucket

if TYPE_CHECKING:
    from obstore import WritableFile

PATIENCE_S = 45.0
"""How long a store may be unreachable before a request fails; shorter than a lease, for songs are ended meanwhile."""

LIST_ROWS = 1000


def bucket_url(url: str, argument: str) -> BucketUrl:
    """Reads the URL of an argument.

    Raises:
        UsageError: it names no place in an object store.
    """
    return parse_bucket_url(url, given_by=argument)


class BucketSource:
    """All songs below a prefix."""

    def __init__(self, url: str) -> None:
        self._place, self._store = _open(url, "SRC")
        self.name = _name(self._place)

    def songs(self) -> Iterator[ListedSong]:
        """See ``Source``."""
        try:
            with storage_errors(self._place, "list"):
                for page in obstore.list(self._store, chunk_size=LIST_ROWS):
                    for meta in page:
                        version = meta["e_tag"] or f"{meta['size']}-{meta['last_modified'].timestamp()}"
                        if (song := listed_song(meta["path"], version[:200])) is not None:
                            yield song
        except FileNotFoundError as error:
            raise UnreadableInputError(f"There is nothing in {self._place}: correct SRC.") from error

    def fetch(self, path: str, folder: Path) -> Path:
        """See ``Source``. A download that was interrupted begins again."""
        song = folder / f"source{Path(path).suffix}"
        try:
            with storage_errors(self._place, "read"):
                found = obstore.get(self._store, path)
        except FileNotFoundError as error:
            raise UnreadableInputError(f"{path} is no longer in {self.name}: put it back, or ignore this.") from error
        try:
            with song.open("wb") as file, storage_errors(self._place, "read"):
                for piece in found.stream(min_chunk_size=PIECE_BYTES):
                    _write(file, bytes(piece), song)
        except OSError as error:
            raise storage_error(error, song) from error
        return song


class BucketTarget:
    """Stems below a prefix."""

    def __init__(self, url: str) -> None:
        self._place, self._store = _open(url, "DST")
        self.name = _name(self._place)

    def check(self) -> None:
        """See ``Target``."""
        BucketBackend(self._place).check()

    def work_root(self, batch_id: str) -> Path:
        """See ``Target``."""
        return writable_cache_folder() / "batch" / batch_id

    def stage(self, stems: Path, path: str) -> StagedUploads:
        """See ``Target``."""
        staged = StagedUploads(self._store, self._place)
        try:
            for file in sorted(stems.iterdir()):
                if not file.name.startswith("."):
                    staged.send(file, f"{path}/{file.name}")
        except BaseException:
            staged.discard()
            raise
        return staged

    def write_lines(self, name: str, lines: Iterable[str]) -> None:
        """See ``Target``."""
        with storage_errors(self._place, "write"), _writer(self._store, name) as file:
            for line in lines:
                file.write(f"{line}\n".encode())


class StagedUploads:
    """Files that are sent but not ended, so nobody sees them; one request each gives them their names. See ``Staged``."""

    def __init__(self, store: ObjectStore, place: BucketUrl) -> None:
        self._store = store
        self._place = place
        self._open: list[WritableFile] = []

    def send(self, file: Path, key: str) -> None:
        """Sends the parts of a file."""
        writer = _writer(self._store, key)
        self._open.append(writer)
        with file.open("rb") as content:
            while piece := content.read(PART_BYTES):
                with storage_errors(self._place, "write"):
                    writer.write(piece)

    def publish(self) -> None:
        """Ends the uploads."""
        while self._open:
            with storage_errors(self._place, "write"):
                self._open[0].close()
            self._open.pop(0)

    def discard(self) -> None:
        """Aborts the uploads: nobody pays for their parts."""
        while self._open:
            writer = self._open.pop()
            if not writer.closed():
                # What cannot be aborted stays hidden, and must not hide why the song was not published.
                with suppress(StorageError), storage_errors(self._place, "delete"):
                    writer.__exit__(InterruptedError, InterruptedError(), None)  # this aborts, close() would end it


def _open(url: str, argument: str) -> tuple[BucketUrl, ObjectStore]:
    place = bucket_url(url, argument)
    s3 = S3Bucket(place) if place.scheme == "s3" else None
    place = place if s3 is None else s3.place
    return place, connect(place, s3, PATIENCE_S)


def _write(file: BinaryIO, piece: bytes, path: Path) -> None:
    """Writes to the disk, whose errors are not the store's."""
    try:
        file.write(piece)
    except OSError as error:
        raise storage_error(error, path) from error


def _writer(store: ObjectStore, key: str) -> WritableFile:
    return obstore.open_writer(store, key, buffer_size=PART_BYTES, max_concurrency=MAX_CONCURRENT_PARTS)


def _name(place: BucketUrl) -> str:
    """Without the endpoint, which may have another address on each host."""
    return f"{place.scheme}://{place.bucket}" + (f"/{place.prefix}" if place.prefix else "")
