"""API keys. A key is shown once; only its digest is stored."""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.service.accounts import find_account, open_account
from stemwright.service.clock import Clock
from stemwright.service.errors import Conflict, InvalidRequest, NotAuthenticated, NotFound, NotPermitted
from stemwright.service.ids import new_id
from stemwright.settings import parse_rate

KeyFormat = Literal["stemwright", "crun"]

KEY_FORMATS: dict[KeyFormat, tuple[str, int]] = {"stemwright": ("sw_", 40), "crun": ("ak_", 32)}
"""Prefix of a key, and number of characters after it. crun's command line accepts only keys in its own format."""

IDS_PER_QUERY = 500
"""Maximum ids per query; SQLite's limit is 32,766."""

HINT_CHARACTERS = 4
NO_ACCESS = "You do not have access permissions"
"""The vendor's message for a wrong key (docs/contracts.md, section 1)."""

SCOPES = ("read", "write", "operator")
DEFAULT_SCOPES = ("read", "write")


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
            Conflict: a key with that name is active.
            NotFound: no such account.
            InvalidRequest: a scope, limit or number of credits is invalid.
        """
        _check(scopes, rate_limit, credits_hundredths)
        prefix, length = KEY_FORMATS[form]
        key = prefix + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))
        with self._database.write() as session:
            if _active(session, name) is not None:
                raise Conflict(f"There is already a key named '{name}'; revoke it first, or choose another name.")
            row = find_account(session, account) if account else find_account(session, name)
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
            session.add(
                tables.ApiKey(
                    id=new_id(),
                    account_id=row.id,
                    name=name,
                    digest=_digest(key),
                    hint=key[: len(prefix) + HINT_CHARACTERS],
                    scopes=",".join(scopes),
                    rate_limit=rate_limit,
                    max_running=max_running,
                    created_at=self._clock(),
                )
            )
            return NewKey(name, row.name, key)

    def authenticate(self, key: str | None) -> Caller:
        """Returns the caller that a key belongs to.

        Raises:
            NotAuthenticated: the key is missing, unknown or revoked.
        """
        if key:
            # One look-up by digest for any key. Digests of similar keys are unrelated, so the timing of the look-up
            # reveals nothing about valid keys.
            digest = _digest(key)
            with self._database.read() as session:
                found = session.execute(_with_account().where(tables.ApiKey.digest == digest)).one_or_none()
                if found is not None and hmac.compare_digest(found[0].digest, digest):
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
        """Returns the id of the active key of that name, in a transaction."""
        row = _active(session, name)
        return row.id if row is not None else None

    def in_use(self, key_ids: Collection[str]) -> set[str]:
        """Returns those of the keys that are not revoked, by ``Caller.key_id``."""
        ids, found = list(key_ids), set[str]()
        with self._database.read() as session:
            for start in range(0, len(ids), IDS_PER_QUERY):
                query = select(tables.ApiKey.id).where(tables.ApiKey.revoked_at.is_(None))
                found.update(session.scalars(query.where(tables.ApiKey.id.in_(ids[start : start + IDS_PER_QUERY]))))
        return found

    def revoke(self, name: str) -> None:
        """Revokes a key permanently.

        Raises:
            NotFound: no active key has that name.
        """
        with self._database.write() as session:
            row = _active(session, name)
            if row is None:
                raise NotFound(f"No key named '{name}' is in use; `stemwright keys list` names them.")
            row.revoked_at = self._clock()

    def all(self) -> list[Key]:
        """Returns all keys, including revoked ones, oldest first."""
        with self._database.read() as session:
            rows = session.execute(
                select(tables.ApiKey, tables.Account.name)
                .join(tables.Account, tables.Account.id == tables.ApiKey.account_id)
                .order_by(tables.ApiKey.created_at)
            )
            return [
                Key(
                    row.name,
                    account,
                    row.hint,
                    tuple(row.scopes.split(",")),
                    row.rate_limit,
                    row.max_running,
                    row.created_at,
                    row.revoked_at,
                )
                for row, account in rows
            ]

    def any(self) -> bool:
        """Whether any key is active."""
        with self._database.read() as session:
            count = session.scalar(select(func.count()).where(tables.ApiKey.revoked_at.is_(None)))
            return bool(count)


def _digest(key: str) -> str:
    # A key has at least 190 random bits, so a plain digest needs neither salt nor stretching.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


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


def _active(session: Session, name: str) -> tables.ApiKey | None:
    return session.scalar(select(tables.ApiKey).where(tables.ApiKey.name == name, tables.ApiKey.revoked_at.is_(None)))


def _check(scopes: Sequence[str], rate_limit: str | None, credits_hundredths: int | None) -> None:
    if not scopes or set(scopes) - set(SCOPES):
        raise InvalidRequest("scopes", f"Scopes are: {', '.join(SCOPES)}.")
    if credits_hundredths is not None and credits_hundredths < 0:
        raise InvalidRequest("credits", "Credits are 0 or more.")
    if rate_limit is not None:
        try:
            parse_rate(rate_limit)
        except ValueError as error:
            raise InvalidRequest("rate_limit", f"{error}.") from error
