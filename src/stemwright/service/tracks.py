"""Tracks: the songs of accounts."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.database.retry import retry_conflicts
from stemwright.database.statements import insert_if_missing
from stemwright.service.accounts import lock_account
from stemwright.service.blobs import start_grace_period
from stemwright.service.clock import Clock
from stemwright.service.errors import Conflict, NotFound
from stemwright.service.ids import new_id
from stemwright.service.storage_quota import check_quota
from stemwright.settings import Settings
from stemwright.storage.store import StoredBlob

DAY_S = 86400.0


@dataclass(frozen=True)
class Track:
    """A song of an account: the columns of the table."""

    id: str
    account_id: str
    task_id: str
    position: int
    origin: str
    title: str
    url: str | None
    blob: str | None
    media_type: str | None
    file_name: str | None
    size_bytes: int | None
    seconds: float | None
    details: dict[str, Any]
    created_at: float
    expires_at: float


@dataclass(frozen=True)
class StoredSong:
    """A stored file to be added as a track; ``seconds`` from its headers, None if unknown."""

    blob: StoredBlob
    title: str
    file_name: str | None
    media_type: str | None
    seconds: float | None = None


@dataclass(frozen=True)
class VendorTrack:
    """A song made by a vendor: the vendor's audio id, the audio's URL, and other details from the vendor."""

    audio_id: str
    url: str
    title: str
    position: int
    seconds: float | None
    details: dict[str, Any]


def track_from_row(row: tables.Track) -> Track:
    """Converts a table row to a Track."""
    return Track(**{field.name: getattr(row, field.name) for field in fields(Track)})


class Tracks:
    """All tracks. Every query names its account."""

    def __init__(self, database: Database, settings: Settings, clock: Clock = time.time) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock

    @retry_conflicts
    def add_stored(
        self,
        account_id: str,
        blob: StoredBlob,
        *,
        title: str,
        file_name: str | None = None,
        media_type: str | None = None,
        seconds: float | None = None,
        origin: str = "upload",
    ) -> Track:
        """Adds a song whose audio is in the store."""
        with self._database.write() as session:
            song = StoredSong(blob, title, file_name, media_type, seconds)
            return self.add_song(session, account_id, song, origin)

    def add_song(self, session: Session, account_id: str, song: StoredSong, origin: str = "upload") -> Track:
        """Same as ``add_stored``, in a transaction."""
        row = self._new(account_id, song.title, origin)
        row.blob, row.size_bytes, row.seconds = song.blob.digest, song.blob.size_bytes, song.seconds
        row.file_name, row.media_type = song.file_name, song.media_type
        session.add(row)
        session.flush()
        check_quota(session, self._settings, account_id)
        return track_from_row(row)

    def add_url(self, session: Session, account_id: str, url: str, title: str) -> Track:
        """Adds a song that a worker will fetch, in the transaction of its task."""
        row = self._new(account_id, title, "url")
        row.url = url
        session.add(row)
        session.flush()
        return track_from_row(row)

    @retry_conflicts
    def add_vendor(self, account_id: str, task_id: str, songs: Sequence[VendorTrack]) -> list[Track]:
        """Adds the songs of a vendor's task, under the vendor's ids. Existing songs are unchanged."""
        with self._database.write() as session:
            for song in songs:
                new = self._columns(account_id, song.title, "vendor") | {"id": song.audio_id, "task_id": task_id}
                new |= {"position": song.position, "url": song.url, "seconds": song.seconds, "details": song.details}
                insert_if_missing(session, tables.Track, **new)
            return [track_from_row(row) for row in _songs(session, account_id, task_id)]

    def get(self, account_id: str, track_id: str) -> Track | None:
        """Returns a track by id."""
        with self._database.read() as session:
            row = session.get(tables.Track, (track_id, account_id))
            return track_from_row(row) if row is not None else None

    def of_task(self, account_id: str, task_id: str) -> list[Track]:
        """Returns the tracks of a task, in order: one for an upload, usually two for a vendor's task."""
        with self._database.read() as session:
            return [track_from_row(row) for row in _songs(session, account_id, task_id)]

    def find(self, account_id: str, task_id: str, audio_id: str) -> Track | None:
        """Returns the track with both ids."""
        track = self.get(account_id, audio_id)
        return track if track is not None and track.task_id == task_id else None

    def list(self, account_id: str, *, after: str | None = None, limit: int = 20) -> list[Track]:
        """Returns up to ``limit`` tracks, newest first, starting after the track ``after``."""
        with self._database.read() as session:
            query = select(tables.Track).where(tables.Track.account_id == account_id)
            cursor = session.get(tables.Track, (after, account_id)) if after else None
            if after and cursor is None:
                raise NotFound(
                    "The track after which the page starts no longer exists; start again from the first page."
                )
            if cursor is not None:
                query = query.where(
                    (tables.Track.created_at < cursor.created_at)
                    | ((tables.Track.created_at == cursor.created_at) & (tables.Track.id < cursor.id))
                )
            query = query.order_by(tables.Track.created_at.desc(), tables.Track.id.desc()).limit(limit)
            return [track_from_row(row) for row in session.scalars(query)]

    @retry_conflicts
    def set_audio(
        self,
        account_id: str,
        track_id: str,
        blob: StoredBlob,
        *,
        media_type: str | None = None,
        file_name: str | None = None,
    ) -> None:
        """Records the fetched audio of a track."""
        with self._database.write() as session:
            lock_account(session, account_id)  # for its quota, and before the track, as in a submission
            row = session.get(tables.Track, (track_id, account_id), with_for_update=True)
            if row is None:
                raise NotFound("The track was deleted.")
            row.blob, row.size_bytes = blob.digest, blob.size_bytes
            row.media_type, row.file_name = media_type or row.media_type, file_name or row.file_name
            session.flush()
            check_quota(session, self._settings, account_id)

    def rename(self, account_id: str, track_id: str, title: str) -> Track:
        """Sets the title of a track.

        Raises:
            NotFound: the account has no such track.
        """
        with self._database.write() as session:
            row = session.get(tables.Track, (track_id, account_id), with_for_update=True)
            if row is None:
                raise NotFound("There is no track with this id.")
            row.title = title
            return track_from_row(row)

    @retry_conflicts
    def delete(self, account_id: str, track_id: str) -> None:
        """Deletes a track; its tasks keep their stems.

        Raises:
            NotFound: the account has no such track.
            Conflict: an unfinished task needs it.
        """
        with self._database.write() as session:
            # Locked before the tasks are looked at: a task that needs it locks it too (``lock_track``).
            row = session.get(tables.Track, (track_id, account_id), with_for_update=True)
            if row is None:
                raise NotFound("There is no track with this id.")
            under_way = select(tables.Task.id).where(
                tables.Task.track_id == track_id,
                tables.Task.account_id == account_id,
                tables.Task.state.in_(("pending", "running")),
            )
            if session.scalar(under_way.limit(1)):
                raise Conflict("A separation of this track is under way: cancel it first, or wait for it.")
            session.delete(row)
            start_grace_period(session, [row.blob] if row.blob else [], self._clock())

    def delete_unused(self, session: Session, account_id: str, track_id: str) -> None:
        """Deletes a track in a transaction, unless a task of it is kept."""
        kept = select(tables.Task.id).where(tables.Task.track_id == track_id, tables.Task.account_id == account_id)
        row = session.get(tables.Track, (track_id, account_id), with_for_update=True)
        if row is not None and session.scalar(kept.limit(1)) is None:
            session.delete(row)
            start_grace_period(session, [row.blob] if row.blob else [], self._clock())

    def _new(self, account_id: str, title: str, origin: str) -> tables.Track:
        return tables.Track(**self._columns(account_id, title, origin))

    def _columns(self, account_id: str, title: str, origin: str) -> dict[str, Any]:
        now = self._clock()
        return {
            "id": new_id(),
            "account_id": account_id,
            "task_id": new_id(),
            "position": 0,
            "origin": origin,
            "title": title,
            "details": {},
            "created_at": now,
            "expires_at": now + self._settings.retention_days * DAY_S,
        }


def lock_track(session: Session, account_id: str, track_id: str) -> bool:
    """Whether the account has the track. It cannot be deleted before the transaction ends."""
    query = select(tables.Track.id).where(tables.Track.id == track_id, tables.Track.account_id == account_id)
    return session.scalar(query.with_for_update(read=True, key_share=True)) is not None


def _songs(session: Session, account_id: str, task_id: str) -> list[tables.Track]:
    query = select(tables.Track).where(tables.Track.task_id == task_id, tables.Track.account_id == account_id)
    return list(session.scalars(query.order_by(tables.Track.position)))
