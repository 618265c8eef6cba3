"""Looks up files of this server by links that it gave out itself."""

from __future__ import annotations

from dataclasses import dataclass

from stemwright.service.links import Link
from stemwright.service.media_types import media_type_of
from stemwright.service.service import Service
from stemwright.storage.blob import StoredBlob


@dataclass(frozen=True)
class LocalFile:
    """A stored file."""

    blob: StoredBlob
    name: str
    media_type: str


def find_local_file(service: Service, account_id: str, link: Link | None) -> LocalFile | None:
    """The file of a link; None if there is none or if it belongs to another account."""
    if link is None or link.kind == "put":
        return None
    if link.kind == "stem":
        task = service.tasks.of_stem(account_id, link.id)
        stem = next((stem for stem in task.stems if stem.id == link.id), None) if task is not None else None
        return _local_file(stem.blob, stem.size_bytes, link.name, None) if stem is not None else None
    if link.kind == "track":
        track = service.tracks.get(account_id, link.id) if link.account_id == account_id else None
        return _local_file(track.blob, track.size_bytes, link.name, track.media_type) if track is not None else None
    upload = service.uploads.get(account_id, link.id)
    return _local_file(upload.blob, upload.size_bytes, link.name, upload.media_type) if upload is not None else None


def _local_file(digest: str | None, size_bytes: int | None, name: str, media_type: str | None) -> LocalFile | None:
    if digest is None:
        return None
    return LocalFile(StoredBlob(digest, size_bytes or 0), name, media_type or media_type_of(name))
