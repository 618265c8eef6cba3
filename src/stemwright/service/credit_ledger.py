"""The credit ledger. Every balance change has an entry; both are written in one transaction."""

from __future__ import annotations

import time
from dataclasses import dataclass

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.database.retry import retry_conflicts
from stemwright.database.statements import changed_rows
from stemwright.service.accounts import find_account
from stemwright.service.clock import Clock
from stemwright.service.errors import InsufficientCredits, InvalidRequest, NotFound

UNMETERED_CREDITS = 1_000_000
"""Balance that the vendor faces report for an account that is not metered."""


@dataclass(frozen=True)
class Entry:
    """``amount`` in hundredths of a credit, negative for a charge; ``reason`` is grant, charge or refund."""

    amount: int
    reason: str
    task_id: str | None
    created_at: float


class Ledger:
    """Credits of all accounts."""

    def __init__(self, database: Database, clock: Clock = time.time) -> None:
        self._database = database
        self._clock = clock

    def balance(self, account_id: str) -> int | None:
        """Returns the balance in hundredths of a credit; None if the account is not metered."""
        with self._database.read() as session:
            row = session.get(tables.Account, account_id)
            return row.balance if row is not None and row.metered else None

    @retry_conflicts
    def grant(self, name_or_id: str, amount: int) -> int:
        """Adds credits (negative: removes them), makes the account metered, and returns the new balance.

        Raises:
            NotFound: no such account.
            InvalidRequest: the amount is 0, or the balance would be negative.
        """
        if amount == 0:
            raise InvalidRequest("credits", "Grant a number of credits other than 0.")
        with self._database.write() as session:
            account = find_account(session, name_or_id, lock=True)
            if account is None:
                raise NotFound(f"There is no account named '{name_or_id}'; `stemwright keys list` names them.")
            if account.balance + amount < 0:
                raise InvalidRequest("credits", f"{account.name} has only {account.balance / 100:g} credits to take.")
            account.metered = True
            account.balance += amount
            self._enter(session, account.id, amount, "grant", None)
            return account.balance

    def charge(self, session: Session, account_id: str, task_id: str, amount: int) -> None:
        """Charges the price of a task in the task's transaction.

        Raises:
            InsufficientCredits: the balance does not cover it.
        """
        account = session.get_one(tables.Account, account_id)
        if not account.metered or amount == 0:
            return
        taken = session.execute(
            update(tables.Account)
            .where(tables.Account.id == account_id, tables.Account.balance >= amount)
            .values(balance=tables.Account.balance - amount)
        )
        if not changed_rows(taken):
            raise InsufficientCredits("The current credits are insufficient. Please top up.")
        self._enter(session, account_id, -amount, "charge", task_id)

    def refund(self, session: Session, account_id: str, task_id: str) -> None:
        """Refunds the charge of a task in the transaction that ends it. Idempotent."""
        entries = session.execute(
            select(tables.CreditEntry.reason, tables.CreditEntry.amount).where(tables.CreditEntry.task_id == task_id)
        ).all()
        charged = -sum(amount for reason, amount in entries if reason == "charge")
        if not charged or any(reason == "refund" for reason, _ in entries):
            return
        session.execute(
            update(tables.Account)
            .where(tables.Account.id == account_id)
            .values(balance=tables.Account.balance + charged)
        )
        self._enter(session, account_id, charged, "refund", task_id)

    def entries(self, account_id: str) -> list[Entry]:
        """Returns all entries of an account, oldest first."""
        with self._database.read() as session:
            rows = session.scalars(
                select(tables.CreditEntry)
                .where(tables.CreditEntry.account_id == account_id)
                .order_by(tables.CreditEntry.id)
            )
            return [Entry(row.amount, row.reason, row.task_id, row.created_at) for row in rows]

    def imbalance(self) -> dict[str, int]:
        """Returns accounts whose balance is not the sum of their entries, with the difference."""
        with self._database.read() as session:
            sums = (
                select(tables.CreditEntry.account_id, func.sum(tables.CreditEntry.amount).label("total"))
                .group_by(tables.CreditEntry.account_id)
                .subquery()
            )
            rows = session.execute(
                select(tables.Account.id, tables.Account.balance, func.coalesce(sums.c.total, 0)).outerjoin(
                    sums, sums.c.account_id == tables.Account.id
                )
            )
            return {account: balance - total for account, balance, total in rows if balance != total}

    def _enter(self, session: Session, account_id: str, amount: int, reason: str, task_id: str | None) -> None:
        session.add(
            tables.CreditEntry(
                account_id=account_id, amount=amount, reason=reason, task_id=task_id, created_at=self._clock()
            )
        )
