"""The file behind a link: digest, media type and download name."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.service.errors import NotFound
from stemwright.service.links import Link
from stemwright.service.media_types import MEDIA_TYPES, UNKNOWN, served_as
from stemwright.wire_names import wire_name


@dataclass(frozen=True)
class LinkedFile:
    """A file that a link serves.

    Attributes:
        digest, size_bytes: of its content.
        media_type: safe for browsers to display, else ``application/octet-stream``.
        name: download name, e.g. ``My song - Backing Vocals.mp3``.
        may_change: whether another file can replace it under the same link.
    """

    digest: str
    size_bytes: int
    media_type: str
    name: str
    may_change: bool


def find_linked_file(database: Database, link: Link) -> LinkedFile:
    """Returns the file behind a link.

    Raises:
        NotFound: the file was deleted, or does not exist yet.
    """
    with database.read() as session:
        if link.kind == "stem":
            return _stem(session, link)
        if link.kind == "track":
            return _track(session, link)
        return _upload(session, link)


def _stem(session: Session, link: Link) -> LinkedFile:
    stem = session.get(tables.Stem, link.id)
    task = session.get(tables.Task, stem.task_id) if stem is not None else None
    if stem is None or task is None:
        raise NotFound("This stem was deleted.")
    track = session.get(tables.Track, (task.track_id, task.account_id)) if task.track_id else None
    group = wire_name(stem.name).group
    name = f"{track.title} - {group}.{stem.format}" if track is not None and track.title else link.name
    return LinkedFile(stem.blob, stem.size_bytes, MEDIA_TYPES.get(stem.format, UNKNOWN), name, may_change=False)


def _track(session: Session, link: Link) -> LinkedFile:
    track = session.get(tables.Track, (link.id, link.account_id))
    if track is None:
        raise NotFound("This track was deleted.")
    if track.blob is None or track.size_bytes is None:
        raise NotFound("The audio of this track has not been fetched yet; try again when its first task has ended.")
    name = track.file_name or link.name
    return LinkedFile(track.blob, track.size_bytes, served_as(track.media_type, name), name, may_change=False)


def _upload(session: Session, link: Link) -> LinkedFile:
    upload = session.get(tables.Upload, link.id)
    if upload is None:
        raise NotFound("This upload was deleted.")
    if upload.blob is None:
        raise NotFound("Nothing was uploaded here yet; PUT the file to its upload link first.")
    name = upload.path.rpartition("/")[2]
    return LinkedFile(upload.blob, upload.size_bytes, served_as(upload.media_type, name), name, may_change=True)
