"""Rows of API keys: how a key is made and checked. Only the digest of its secret is stored."""

from __future__ import annotations

import hashlib
import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.service.accounts import lock_account
from stemwright.service.errors import Conflict, InvalidRequest
from stemwright.service.ids import new_id
from stemwright.settings import parse_rate

KeyFormat = Literal["stemwright", "crun"]

KEY_FORMATS: dict[KeyFormat, tuple[str, int]] = {"stemwright": ("sw_", 40), "crun": ("ak_", 32)}
"""Prefix of a key, and number of characters after it. crun's command line accepts only keys in its own format."""

HINT_CHARACTERS = 4
SCOPES = ("read", "write", "operator")
DEFAULT_SCOPES = ("read", "write")


@dataclass(frozen=True)
class NewRow:
    """What a new key is to have."""

    account_id: str
    name: str
    scopes: Sequence[str]
    rate_limit: str | None
    max_running: int | None


def add_key(session: Session, made: NewRow, now: float, form: KeyFormat = "stemwright") -> tuple[tables.ApiKey, str]:
    """Adds a key in a transaction, and returns it with its secret.

    Raises:
        Conflict: the account has an active key of that name.
    """
    lock_account(session, made.account_id)  # names of revoked keys may be used again, so no constraint can tell
    row = tables.ApiKey
    same = select(row.id).where(row.account_id == made.account_id, row.name == made.name, row.revoked_at.is_(None))
    if session.scalar(same.limit(1)) is not None:
        raise Conflict(f"There is already a key named '{made.name}'; revoke it first, or choose another name.")
    prefix, length = KEY_FORMATS[form]
    secret = prefix + "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(length))
    key = row(
        id=new_id(),
        account_id=made.account_id,
        name=made.name,
        digest=digest(secret),
        hint=secret[: len(prefix) + HINT_CHARACTERS],
        scopes=",".join(made.scopes),
        rate_limit=made.rate_limit,
        max_running=made.max_running,
        created_at=now,
    )
    session.add(key)
    return key, secret


def check_key(scopes: Sequence[str], rate_limit: str | None) -> None:
    """Raises InvalidRequest if a scope or the limit is invalid."""
    if not scopes or set(scopes) - set(SCOPES):
        raise InvalidRequest("scopes", f"Scopes are: {', '.join(SCOPES)}.")
    if rate_limit is not None:
        try:
            parse_rate(rate_limit)
        except ValueError as error:
            raise InvalidRequest("rate_limit", f"{error}.") from error


def digest(key: str) -> str:
    """The SHA-256 of a key."""
    # A key has at least 190 random bits, so a plain digest needs neither salt nor stretching.
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
