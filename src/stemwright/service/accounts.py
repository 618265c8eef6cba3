"""Accounts: the owners of tracks, tasks and credits."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.database.statements import insert_if_missing
from stemwright.service.clock import Clock
from stemwright.service.errors import Conflict, InvalidRequest, NotFound
from stemwright.service.ids import new_id, parse_id

NAME_CHARACTERS = 200


@dataclass(frozen=True)
class Account:
    """An account.

    Attributes:
        metered: tasks cost credits; False: tasks are free and unlimited.
        balance: hundredths of a credit; 0 if not metered.
        created_at: seconds since 1970.
    """

    id: str
    name: str
    metered: bool
    balance: int
    created_at: float


def open_account(session: Session, name: str, *, metered: bool, now: float) -> tables.Account:
    """Adds an account in a transaction.

    Raises:
        InvalidRequest: the name is empty or too long.
        Conflict: the name is taken.
    """
    if not name.strip() or len(name) > NAME_CHARACTERS:
        raise InvalidRequest("name", f"A name has 1 to {NAME_CHARACTERS} characters.")
    account_id = new_id()
    if not insert_if_missing(
        session, tables.Account, id=account_id, name=name, metered=metered, balance=0, created_at=now
    ):
        raise Conflict(f"There is already an account named '{name}'; choose another name.")
    return session.get_one(tables.Account, account_id)


def find_account(session: Session, name_or_id: str, *, lock: bool = False) -> tables.Account | None:
    """Returns the account with that name or id, in a transaction.

    Args:
        session: of the transaction.
        name_or_id: of the account.
        lock: no other transaction changes the account until this one ends.
    """
    found = session.scalar(select(tables.Account.id).where(tables.Account.name == name_or_id)) or parse_id(name_or_id)
    if not found:
        return None
    return lock_account(session, found) if lock else session.get(tables.Account, found)


def lock_account(session: Session, account_id: str) -> tables.Account | None:
    """Returns an account as it is now; no other transaction changes it, or locks it, until this one ends.

    What an account may have at most (tasks, bytes, credits) is counted under this lock. New tasks and tracks, which
    refer to the account, do not wait for it.
    """
    return session.get(tables.Account, account_id, with_for_update={"key_share": True}, populate_existing=True)


def account_from_row(row: tables.Account) -> Account:
    """Converts a table row to an Account."""
    return Account(row.id, row.name, row.metered, row.balance, row.created_at)


class Accounts:
    """All accounts of the server."""

    def __init__(self, database: Database, clock: Clock = time.time) -> None:
        self._database = database
        self._clock = clock

    def create(self, name: str, *, metered: bool = False) -> Account:
        """Creates an account.

        Raises:
            Conflict: the name is taken.
        """
        with self._database.write() as session:
            return account_from_row(open_account(session, name, metered=metered, now=self._clock()))

    def find(self, name_or_id: str) -> Account:
        """Returns the account with that name or id.

        Raises:
            NotFound: no such account.
        """
        with self._database.read() as session:
            row = find_account(session, name_or_id)
            if row is None:
                raise NotFound(f"There is no account named '{name_or_id}'; `stemwright keys list` names them.")
            return account_from_row(row)

    def all(self) -> list[Account]:
        """Returns all accounts, oldest first."""
        with self._database.read() as session:
            return [
                account_from_row(row)
                for row in session.scalars(select(tables.Account).order_by(tables.Account.created_at))
            ]
