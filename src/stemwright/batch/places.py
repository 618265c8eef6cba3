"""Where songs come from and where stems go: a folder, or a prefix of an object store."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

from stemwright.batch.listing import ListedSong
from stemwright.errors import UsageError

RECORDS_FOLDER = ".stemwright-batch"
"""Hidden folder in a target that is a folder: the database, where no other is named, and working files."""


class Source(Protocol):
    """Where the songs are.

    Attributes:
        name: absolute path, or URL.
    """

    name: str

    def songs(self) -> Iterator[ListedSong]:
        """All songs, in any order, while they are found.

        Raises:
            UnreadableInputError: the folder, or one below it, cannot be listed.
            StorageError: the object store cannot be listed.
        """

    def fetch(self, path: str, folder: Path) -> Path:
        """The file of a song on this machine; from an object store it is copied into the folder.

        Raises:
            UnreadableInputError: it is no longer there.
            StorageError: it cannot be copied.
        """


class Staged(Protocol):
    """The stems of a song, whole, but without their names in the target."""

    def publish(self) -> None:
        """Gives them their names, quickly; a second time does nothing."""

    def discard(self) -> None:
        """Deletes them, unless they have their names."""


class Target(Protocol):
    """Where the stems go.

    Attributes:
        name: absolute path, or URL.
    """

    name: str

    def check(self) -> None:
        """Checks that it can be written.

        Raises:
            StorageError: it cannot.
        """

    def work_root(self, batch_id: str) -> Path:
        """A folder of this machine for working files."""

    def stage(self, stems: Path, path: str) -> Staged:
        """Brings the folder of a song's stems to the target, without names yet.

        Args:
            stems: the folder.
            path: of the song; its stems get a folder of that name.
        """

    def write_lines(self, name: str, lines: Iterable[str]) -> None:
        """Writes or replaces a text file; nobody sees half of it."""


def open_places(source: str, target: str) -> tuple[Source, Target]:
    """Opens both ends of a batch, without connecting to anything yet.

    Raises:
        UsageError: one is no place that can be used, or one lies in the other.
    """
    from stemwright.batch.folder import FolderSource, FolderTarget

    is_remote = ["://" in place for place in (source, target)]
    if not any(is_remote):
        _check_apart(Path(source).resolve().parts, Path(target).resolve().parts, source, target)
        return FolderSource(source), FolderTarget(target)
    from stemwright.batch.bucket import BucketSource, BucketTarget, bucket_url

    if all(is_remote):
        from_parts, to_parts = (
            (url.scheme, url.bucket, *url.prefix.split("/") * bool(url.prefix))
            for url in (bucket_url(source, "SRC"), bucket_url(target, "DST"))
        )
        _check_apart(from_parts, to_parts, source, target)
    return (
        BucketSource(source) if is_remote[0] else FolderSource(source),
        BucketTarget(target) if is_remote[1] else FolderTarget(target),
    )


def _check_apart(source: tuple[str, ...], target: tuple[str, ...], source_name: str, target_name: str) -> None:
    shorter = min(len(source), len(target))
    if source[:shorter] == target[:shorter]:
        raise UsageError(
            f"SRC ({source_name}) and DST ({target_name}) lie in one another, so stems would become songs: choose a DST "
            "beside SRC."
        )
