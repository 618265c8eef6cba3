"""API keys. A key is shown once; only its digest is stored."""

from __future__ import annotations

import hmac
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.database.retry import retry_conflicts
from stemwright.service.accounts import find_account, open_account
from stemwright.service.clock import Clock
from stemwright.service.errors import Conflict, InvalidRequest, NotAuthenticated, NotFound, NotPermitted
from stemwright.service.key_rows import DEFAULT_SCOPES, SCOPES, KeyFormat, NewRow, add_key, check_key, digest

IDS_PER_QUERY = 500
"""Maximum ids per query; SQLite's limit is 32,766."""

NO_ACCESS = "You do not have access permissions"
"""The vendor's message for a wrong key (docs/contracts.md, section 1)."""


@dataclass(frozen=True)
class Caller:
    """Account and permissions of a request.

    Attributes:
        key_name, key_hint: name and first characters of the key.
        scopes: ``read`` to view, ``write`` to create, cancel and delete, ``operator`` to administer the server.
        rate_limit: new tasks, ``COUNT/SECONDS``; None: the limit of the face.
        max_running: unfinished tasks at once; None: the limit of the server.
    """

    account_id: str
    account_name: str
    key_id: str
    key_name: str
    key_hint: str
    scopes: tuple[str, ...]
    rate_limit: str | None
    max_running: int | None
    metered: bool

    def require(self, scope: str) -> None:
        """Raises NotPermitted if the key lacks the scope."""
        if scope not in self.scopes:
            wanted = ",".join(one for one in SCOPES if one in DEFAULT_SCOPES or one == scope)
            raise NotPermitted(f"This key does not have the scope {scope}; create one with --scopes {wanted}.")


@dataclass(frozen=True)
class Key:
    """Public data of a key; ``hint`` is its first characters."""

    id: str
    name: str
    account: str
    hint: str
    scopes: tuple[str, ...]
    rate_limit: str | None
    max_running: int | None
    created_at: float
    revoked_at: float | None


@dataclass(frozen=True)
class NewKey:
    """A new key with its secret, which is shown only once."""

    name: str
    account: str
    key: str


class Keys:
    """All keys of the server."""

    def __init__(self, database: Database, clock: Clock = time.time) -> None:
        self._database = database
        self._clock = clock

    @retry_conflicts
    def create(
        self,
        name: str,
        *,
        account: str | None = None,
        credits_hundredths: int | None = None,
        scopes: Sequence[str] = DEFAULT_SCOPES,
        rate_limit: str | None = None,
        max_running: int | None = None,
        form: KeyFormat = "stemwright",
    ) -> NewKey:
        """Creates a key, and an account of the same name unless ``account`` names one.

        With ``credits_hundredths`` the account is metered and gets them. ``form`` sets only the format of the key.

        Raises:
            Conflict: the account has an active key of that name.
            NotFound: no such account.
            InvalidRequest: a scope, limit or number of credits is invalid.
        """
        check_key(scopes, rate_limit)
        if credits_hundredths is not None and credits_hundredths < 0:
            raise InvalidRequest("credits", "Credits are 0 or more.")
        with self._database.write() as session:
            row = find_account(session, account or name, lock=True)
            if row is None and account:
                raise NotFound(f"There is no account named '{account}'; `stemwright keys list` names them.")
            if row is None:
                row = open_account(session, name, metered=False, now=self._clock())
            if credits_hundredths is not None:
                row.metered = True
                row.balance += credits_hundredths
                if credits_hundredths:
                    session.add(
                        tables.CreditEntry(
                            account_id=row.id, amount=credits_hundredths, reason="grant", created_at=self._clock()
                        )
                    )
            made = NewRow(row.id, name, scopes, rate_limit, max_running)
            return NewKey(name, row.name, add_key(session, made, self._clock(), form)[1])

    def authenticate(self, key: str | None) -> Caller:
        """Returns the caller that a key belongs to.

        Raises:
            NotAuthenticated: the key is missing, unknown or revoked.
        """
        if key:
            # One look-up by digest for any key. Digests of similar keys are unrelated, so the timing of the look-up
            # reveals nothing about valid keys.
            wanted = digest(key)
            with self._database.read() as session:
                found = session.execute(_with_account().where(tables.ApiKey.digest == wanted)).one_or_none()
                if found is not None and hmac.compare_digest(found[0].digest, wanted):
                    return _caller(*found)
        raise NotAuthenticated(NO_ACCESS)

    def caller_of(self, key_id: str) -> Caller:
        """Returns the caller of an active key by its id.

        Raises:
            NotAuthenticated: there is no such key, or it is revoked.
        """
        with self._database.read() as session:
            found = session.execute(_with_account().where(tables.ApiKey.id == key_id)).one_or_none()
            if found is None:
                raise NotAuthenticated(NO_ACCESS)
            return _caller(*found)

    @staticmethod
    def id_of(session: Session, name: str) -> str | None:
        """Returns the id of the active key of that name in the account of the same name, in a transaction."""
        query = _with_account().where(tables.ApiKey.name == name, tables.Account.name == name)
        found = session.execute(query).first()
        return found[0].id if found is not None else None

    def in_use(self, key_ids: Collection[str]) -> set[str]:
        """Returns those of the keys that are not revoked, by ``Caller.key_id``."""
        ids, found = list(key_ids), set[str]()
        with self._database.read() as session:
            for start in range(0, len(ids), IDS_PER_QUERY):
                query = select(tables.ApiKey.id).where(tables.ApiKey.revoked_at.is_(None))
                found.update(session.scalars(query.where(tables.ApiKey.id.in_(ids[start : start + IDS_PER_QUERY]))))
        return found

    def revoke(self, name: str, account: str | None = None) -> None:
        """Revokes a key permanently.

        Raises:
            NotFound: no active key of the account, or of any, has that name.
            Conflict: keys of several accounts have that name.
        """
        with self._database.write() as session:
            query = _with_account().where(tables.ApiKey.name == name)
            rows = session.execute(query.where(tables.Account.name == account) if account else query).all()
            if not rows:
                raise NotFound(f"No key named '{name}' is in use; `stemwright keys list` names them.")
            if len(rows) > 1:
                owners = ", ".join(sorted(owner.name for _, owner in rows))
                raise Conflict(f"Several accounts have a key named '{name}' ({owners}): name one with --account.")
            rows[0][0].revoked_at = self._clock()

    def all(self) -> list[Key]:
        """Returns all keys, including revoked ones, oldest first."""
        with self._database.read() as session:
            rows = session.execute(
                select(tables.ApiKey, tables.Account.name)
                .join(tables.Account, tables.Account.id == tables.ApiKey.account_id)
                .order_by(tables.ApiKey.created_at)
            )
            return [key_from_row(row, account) for row, account in rows]

    def any(self) -> bool:
        """Whether any key is active."""
        with self._database.read() as session:
            count = session.scalar(select(func.count()).where(tables.ApiKey.revoked_at.is_(None)))
            return bool(count)


def _with_account() -> Select[tables.ApiKey, tables.Account]:
    """Active keys with their accounts."""
    query = select(tables.ApiKey, tables.Account).join(tables.Account, tables.Account.id == tables.ApiKey.account_id)
    return query.where(tables.ApiKey.revoked_at.is_(None))


def _caller(row: tables.ApiKey, account: tables.Account) -> Caller:
    return Caller(
        account_id=account.id,
        account_name=account.name,
        key_id=row.id,
        key_name=row.name,
        key_hint=row.hint,
        scopes=tuple(row.scopes.split(",")),
        rate_limit=row.rate_limit,
        max_running=row.max_running,
        metered=account.metered,
    )


def key_from_row(row: tables.ApiKey, account: str) -> Key:
    """Converts a table row to a Key."""
    return Key(
        row.id,
        row.name,
        account,
        row.hint,
        tuple(row.scopes.split(",")),
        row.rate_limit,
        row.max_running,
        row.created_at,
        row.revoked_at,
    )
