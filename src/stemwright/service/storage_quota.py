"""Storage quota of an account: bytes of songs, uploads, stems, their peaks and renderings, each file counted once."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select, union
from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.formatting import megabytes
from stemwright.service.accounts import find_account, lock_account
from stemwright.service.errors import InvalidRequest, NotFound, QuotaExceeded
from stemwright.service.rendering import is_file_of
from stemwright.settings import Settings

MB = 1_000_000


@dataclass(frozen=True)
class Usage:
    """Storage use of an account, in bytes.

    Attributes:
        used_bytes: total size of its files.
        limit_bytes: the quota; None: no limit.
    """

    used_bytes: int
    limit_bytes: int | None

    @property
    def room_bytes(self) -> int | None:
        """Remaining bytes; None: no limit."""
        return None if self.limit_bytes is None else max(0, self.limit_bytes - self.used_bytes)


class StorageQuota:
    """Quota queries outside of a transaction. Writes are checked in their transaction by ``check_quota``."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    def usage(self, account_id: str) -> Usage:
        """Returns the account's storage use and limit."""
        with self._database.read() as session:
            return Usage(_used(session, account_id), _limit(session, self._settings, account_id))

    def room(self, account_id: str, more_bytes: int = 1) -> int | None:
        """Returns the bytes left for the account's files; None: no limit.

        Raises:
            QuotaExceeded: fewer than ``more_bytes`` are left.
        """
        with self._database.read() as session:
            limit = _limit(session, self._settings, account_id)
            if limit is None:
                return None
            used = _used(session, account_id)
        if used + more_bytes > limit:
            raise quota_exceeded(limit)
        return limit - used

    def set(self, account: str, quota_mb: int | None) -> None:
        """Sets the quota of an account; None: the server's default; 0: no limit.

        Raises:
            NotFound: no such account.
            InvalidRequest: the quota is negative.
        """
        if quota_mb is not None and quota_mb < 0:
            raise InvalidRequest("quota", "A quota is 0 or more MB; 0 is no limit.")
        with self._database.write() as session:
            row = find_account(session, account)
            if row is None:
                raise NotFound(f"There is no account named '{account}'; `stemwright keys list` names them.")
            row.quota_mb = quota_mb


def check_quota(session: Session, settings: Settings, account_id: str, more_bytes: int = 0) -> None:
    """Checks the account in the transaction that changes it, after the new rows are flushed.

    Raises:
        QuotaExceeded: its files and ``more_bytes`` exceed the quota.
    """
    if _limit(session, settings, account_id) is None:
        return
    lock_account(session, account_id)  # what others have added by now is counted, and what they add waits
    limit = _limit(session, settings, account_id)
    if limit is not None and _used(session, account_id) + more_bytes > limit:
        raise quota_exceeded(limit)


def quota_exceeded(limit_bytes: int) -> QuotaExceeded:
    """Returns the error for a full quota."""
    return QuotaExceeded(
        f"The storage quota of this account, {megabytes(limit_bytes)}, is used up: delete songs or separations, "
        "or wait until they expire."
    )


def _limit(session: Session, settings: Settings, account_id: str) -> int | None:
    row = session.get(tables.Account, account_id)
    quota_mb = settings.quota_mb if row is None or row.quota_mb is None else row.quota_mb
    return quota_mb * MB or None


def _used(session: Session, account_id: str) -> int:
    tracks = select(tables.Track.blob, tables.Track.size_bytes).where(
        tables.Track.account_id == account_id, tables.Track.blob.is_not(None)
    )
    uploads = select(tables.Upload.blob, tables.Upload.size_bytes).where(
        tables.Upload.account_id == account_id, tables.Upload.blob.is_not(None)
    )
    stems = (
        select(tables.Stem.blob, tables.Stem.size_bytes)
        .join(tables.Task, tables.Task.id == tables.Stem.task_id)
        .where(tables.Task.account_id == account_id)
    )
    drawn = [tracks.with_only_columns(tables.Track.blob), stems.with_only_columns(tables.Stem.blob)]
    peaks = select(tables.Peaks.blob, tables.Peaks.size_bytes).where(tables.Peaks.source.in_(union(*drawn)))
    theirs = (
        select(tables.Rendering.id)
        .join(tables.Task, tables.Task.id == tables.Rendering.task_id)
        .where(tables.Task.account_id == account_id)
    )
    derived = tables.DerivedFile
    rendered = select(derived.blob, derived.size_bytes).where(
        derived.source.in_(stems.with_only_columns(tables.Stem.blob)), is_file_of(theirs)
    )
    files = union(
        tracks, uploads, stems, peaks, rendered
    ).subquery()  # a union drops duplicate rows: a file is stored once
    return int(session.scalar(select(func.coalesce(func.sum(files.c.size_bytes), 0))) or 0)
