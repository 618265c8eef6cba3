"""The keys of one account, for its owner."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import Select, func, select

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.formatting import printable
from stemwright.service.accounts import NAME_CHARACTERS, lock_account
from stemwright.service.clock import Clock
from stemwright.service.errors import Conflict, InvalidRequest, NotFound, NotPermitted
from stemwright.service.key_rows import NewRow, add_key, check_key
from stemwright.service.keys import Caller, Key, key_from_row

MAX_KEYS = 100
"""Keys that an account may have in use."""


class AccountKeys:
    """Keys of accounts. Every query names its account."""

    def __init__(self, database: Database, clock: Clock = time.time) -> None:
        self._database = database
        self._clock = clock

    def list(self, account_id: str) -> list[Key]:
        """Returns the keys in use, oldest first."""
        with self._database.read() as session:
            account = session.get_one(tables.Account, account_id).name
            rows = session.scalars(_in_use(account_id).order_by(tables.ApiKey.created_at, tables.ApiKey.id))
            return [key_from_row(row, account) for row in rows]

    def create(self, caller: Caller, name: str, scopes: Sequence[str]) -> tuple[Key, str]:
        """Creates a key with the limits of the caller's own, and returns it with its secret.

        Raises:
            InvalidRequest: the name or a scope is invalid.
            NotPermitted: the caller's key lacks one of the scopes.
            Conflict: a key with that name is in use, or too many are.
        """
        check_key(scopes, None)
        name = printable(name).strip()
        if not name or len(name) > NAME_CHARACTERS:
            raise InvalidRequest("name", f"A name has 1 to {NAME_CHARACTERS} characters.")
        lacking = [scope for scope in scopes if scope not in caller.scopes]
        if lacking:
            raise NotPermitted(f"Your key lacks the scope {lacking[0]}, so it cannot create a key that has it.")
        with self._database.write() as session:
            lock_account(session, caller.account_id)
            count = session.scalar(select(func.count()).select_from(_in_use(caller.account_id).subquery())) or 0
            if count >= MAX_KEYS:
                raise Conflict(f"The account has {MAX_KEYS} keys in use: revoke one first.")
            made = NewRow(caller.account_id, name, scopes, caller.rate_limit, caller.max_running)
            row, secret = add_key(session, made, self._clock())
            return key_from_row(row, caller.account_name), secret

    def revoke(self, account_id: str, key_id: str) -> None:
        """Revokes a key permanently.

        Raises:
            NotFound: the account has no such key in use.
        """
        with self._database.write() as session:
            row = session.scalar(_in_use(account_id).where(tables.ApiKey.id == key_id))
            if row is None:
                raise NotFound("There is no key with this id in use.")
            row.revoked_at = self._clock()


def _in_use(account_id: str) -> Select[tables.ApiKey]:
    return select(tables.ApiKey).where(tables.ApiKey.account_id == account_id, tables.ApiKey.revoked_at.is_(None))
