"""Uploads: files under paths chosen by clients, as in the vendors' upload APIs."""

from __future__ import annotations

import time
from dataclasses import dataclass, fields

from sqlalchemy import select
from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.database.retry import retry_conflicts
from stemwright.database.statements import insert_if_missing
from stemwright.service.blobs import start_grace_period
from stemwright.service.clock import Clock
from stemwright.service.errors import InvalidRequest, NotFound
from stemwright.service.ids import new_id
from stemwright.service.storage_quota import check_quota
from stemwright.service.tracks import DAY_S
from stemwright.settings import Settings
from stemwright.storage.blob import StoredBlob

MAX_PATH_CHARACTERS = 500


@dataclass(frozen=True)
class Upload:
    """An upload of an account: the columns of the table. ``blob`` is None until the file arrives."""

    id: str
    account_id: str
    path: str
    blob: str | None
    media_type: str
    size_bytes: int
    created_at: float
    expires_at: float


class Uploads:
    """All uploads."""

    def __init__(self, database: Database, settings: Settings, clock: Clock = time.time) -> None:
        self._database = database
        self._settings = settings
        self._clock = clock

    @retry_conflicts
    def add(self, account_id: str, path: str, blob: StoredBlob, media_type: str) -> Upload:
        """Records a stored file under a path; replaces an existing file.

        Raises:
            InvalidRequest: the path is invalid.
        """
        with self._database.write() as session:
            row = self._row(session, account_id, path, media_type)
            self._set_blob(session, row, blob)
            return _upload_from_row(row)

    @retry_conflicts
    def reserve(self, account_id: str, path: str, media_type: str) -> Upload:
        """Reserves a path for a file to come; an existing file is kept until then.

        Raises:
            InvalidRequest: the path is invalid.
        """
        with self._database.write() as session:
            return _upload_from_row(self._row(session, account_id, path, media_type))

    @retry_conflicts
    def fill(self, upload_id: str, blob: StoredBlob) -> Upload:
        """Records the file of a reserved upload; a later call replaces it.

        Raises:
            NotFound: no reservation, or it has expired.
        """
        with self._database.write() as session:
            row = session.get(tables.Upload, upload_id, with_for_update=True)
            if row is None or row.expires_at <= self._clock():
                raise NotFound("This upload has expired; ask for a new link.")
            self._set_blob(session, row, blob)
            return _upload_from_row(row)

    def get(self, account_id: str, upload_id: str) -> Upload | None:
        """Returns an upload of an account; None if missing or expired."""
        with self._database.read() as session:
            query = select(tables.Upload).where(tables.Upload.id == upload_id, tables.Upload.account_id == account_id)
            row = session.scalar(query)
            return _upload_from_row(row) if row is not None and row.expires_at > self._clock() else None

    def any(self, upload_id: str) -> Upload | None:
        """Returns an upload of any account, for holders of a link; None if missing or expired."""
        with self._database.read() as session:
            row = session.get(tables.Upload, upload_id)
            return _upload_from_row(row) if row is not None and row.expires_at > self._clock() else None

    def _row(self, session: Session, account_id: str, path: str, media_type: str) -> tables.Upload:
        path, now = clean_path(path), self._clock()
        dates = {"created_at": now, "expires_at": now + self._settings.upload_days * DAY_S}
        new = {"id": new_id(), "media_type": media_type[:100], "size_bytes": 0, **dates}
        insert_if_missing(session, tables.Upload, account_id=account_id, path=path, **new)
        query = select(tables.Upload).where(tables.Upload.account_id == account_id, tables.Upload.path == path)
        row = session.scalars(query.with_for_update()).one()
        row.media_type, row.created_at, row.expires_at = media_type[:100], dates["created_at"], dates["expires_at"]
        session.flush()
        return row

    def _set_blob(self, session: Session, row: tables.Upload, blob: StoredBlob) -> None:
        if row.blob is not None and row.blob != blob.digest:
            start_grace_period(session, [row.blob], self._clock())
        row.blob, row.size_bytes = blob.digest, blob.size_bytes
        session.flush()
        check_quota(session, self._settings, row.account_id)


def clean_path(path: str) -> str:
    """Normalizes ``/audio//mine/song.mp3`` to ``audio/mine/song.mp3``. Used in URLs, never as a local path.

    Raises:
        InvalidRequest: empty, too long, with ``.`` or ``..``, or with invalid characters.
    """
    parts = [part for part in path.split("/") if part]
    clean = "/".join(parts)
    if not parts:
        raise InvalidRequest("path", "The path of the upload is empty: name one, such as audio/song.mp3.")
    if len(clean) > MAX_PATH_CHARACTERS:
        raise InvalidRequest("path", f"The path of the upload has more than {MAX_PATH_CHARACTERS} characters.")
    if any(part in (".", "..") for part in parts):
        raise InvalidRequest("path", "The path of the upload must not contain . or .. as a folder.")
    if "\\" in clean or any(not character.isprintable() for character in clean):
        raise InvalidRequest("path", "The path of the upload contains a character that is not allowed in a path.")
    return clean


def _upload_from_row(row: tables.Upload) -> Upload:
    return Upload(**{field.name: getattr(row, field.name) for field in fields(Upload)})
