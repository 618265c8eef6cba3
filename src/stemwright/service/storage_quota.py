"""How many bytes of files an account may keep: songs, uploads and stems, each file counted once."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select, union
from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.formatting import megabytes
from stemwright.service.accounts import find_account
from stemwright.service.errors import InvalidRequest, NotFound, QuotaExceeded
from stemwright.settings import Settings

MB = 1_000_000


@dataclass(frozen=True)
class Usage:
    """What an account keeps, in bytes.

    Attributes:
        used_bytes: of its files.
        limit_bytes: what they may be together; None: there is no limit.
    """

    used_bytes: int
    limit_bytes: int | None

    @property
    def room_bytes(self) -> int | None:
        """What is left; None: there is no limit."""
        return None if self.limit_bytes is None else max(0, self.limit_bytes - self.used_bytes)


class StorageQuota:
    """Questions about the quota outside of a transaction. What is written is checked within it, by ``check_quota``."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._settings = settings

    def usage(self, account_id: str) -> Usage:
        """What the account keeps and may keep."""
        with self._database.read() as session:
            return Usage(_used(session, account_id), _limit(session, self._settings, account_id))

    def room(self, account_id: str, more_bytes: int = 1) -> int | None:
        """Bytes that are left for the account's files; None: there is no limit.

        Raises:
            QuotaExceeded: there are fewer than ``more_bytes``.
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
        """Gives an account a quota of its own; None: the server's; 0: no limit.

        Raises:
            NotFound: there is no such account.
            InvalidRequest: it is below 0.
        """
        if quota_mb is not None and quota_mb < 0:
            raise InvalidRequest("quota", "A quota is 0 or more MB; 0 is no limit.")
        with self._database.write() as session:
            row = find_account(session, account)
            if row is None:
                raise NotFound(f"There is no account named '{account}'; `stemwright keys list` names them.")
            row.quota_mb = quota_mb


def check_quota(session: Session, settings: Settings, account_id: str, more_bytes: int = 0) -> None:
    """Checks the account within the transaction that changes it, once the new rows are flushed.

    Raises:
        QuotaExceeded: its files and ``more_bytes`` are more than it may keep.
    """
    limit = _limit(session, settings, account_id)
    if limit is not None and _used(session, account_id) + more_bytes > limit:
        raise quota_exceeded(limit)


def quota_exceeded(limit_bytes: int) -> QuotaExceeded:
    """What to tell where there is no room."""
    return QuotaExceeded(
        f"The files of this account may take {megabytes(limit_bytes)}, and there is no room for more: delete songs or "
        "separations, or wait until they expire."
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
    files = union(tracks, uploads, stems).subquery()  # a union keeps one of equal rows: a file is stored once
    return int(session.scalar(select(func.coalesce(func.sum(files.c.size_bytes), 0))) or 0)
