"""The methods of both clients that are about the account: credits, keys, usage, deliveries."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from typing import TypeVar
from uuid import UUID

from stemwright.client import account_calls, calls
from stemwright.client.account_records import (
    Account,
    AccountDelivery,
    Credits,
    DayUsage,
    Delivery,
    Key,
    NewKey,
    Scope,
    UsedKey,
)
from stemwright.client.calls import Call, Value
from stemwright.client.records import Page, Separation

Record = TypeVar("Record")


class AccountMethods(ABC):
    """What the client does with its account."""

    @abstractmethod
    def _do(self, call: Call[Value]) -> Value: ...

    @abstractmethod
    def _pages(self, call: Callable[[str | None], Call[Page[Record]]]) -> Iterator[Record]: ...

    def account(self) -> Account:
        """The account of the key, and the storage that it uses."""
        return self._do(account_calls.account())

    def credits(self) -> Credits:
        """The credits of the account."""
        return self._do(account_calls.credits_left())

    def usage(self, days: int = 30) -> list[DayUsage]:
        """Credits, separations and seconds of music of the last days, today last."""
        return self._do(account_calls.usage(days))

    def keys(self) -> list[Key]:
        """The keys of the account that are in use."""
        return self._do(account_calls.keys())

    def create_key(self, name: str, scopes: Iterable[Scope] = ("read", "write")) -> NewKey:
        """Creates a key of the account. Its secret is not shown again."""
        return self._do(account_calls.create_key(name, scopes))

    def revoke_key(self, key: UsedKey | UUID | str) -> None:
        """Revokes a key for good, and ends the sessions that were opened with it."""
        self._do(account_calls.revoke_key(calls.id_of(key.id if isinstance(key, UsedKey) else key)))

    def deliveries(self, separation: Separation | UUID | str) -> list[Delivery]:
        """All attempts to deliver the callback."""
        return self._do(account_calls.deliveries(calls.id_of(separation)))

    def all_deliveries(self) -> Iterator[AccountDelivery]:
        """The attempts to deliver the callbacks of all separations, newest first."""
        return self._pages(account_calls.all_deliveries)

    def replay(self, separation: Separation | UUID | str) -> Delivery:
        """Sends the callback once more."""
        return self._do(account_calls.replay(calls.id_of(separation)))


class AsyncAccountMethods(ABC):
    """What the client for asyncio does with its account."""

    @abstractmethod
    async def _do(self, call: Call[Value]) -> Value: ...

    @abstractmethod
    def _pages(self, call: Callable[[str | None], Call[Page[Record]]]) -> AsyncIterator[Record]: ...

    async def account(self) -> Account:
        """The account of the key, and the storage that it uses."""
        return await self._do(account_calls.account())

    async def credits(self) -> Credits:
        """The credits of the account."""
        return await self._do(account_calls.credits_left())

    async def usage(self, days: int = 30) -> list[DayUsage]:
        """Credits, separations and seconds of music of the last days, today last."""
        return await self._do(account_calls.usage(days))

    async def keys(self) -> list[Key]:
        """The keys of the account that are in use."""
        return await self._do(account_calls.keys())

    async def create_key(self, name: str, scopes: Iterable[Scope] = ("read", "write")) -> NewKey:
        """Creates a key of the account. Its secret is not shown again."""
        return await self._do(account_calls.create_key(name, scopes))

    async def revoke_key(self, key: UsedKey | UUID | str) -> None:
        """Revokes a key for good, and ends the sessions that were opened with it."""
        await self._do(account_calls.revoke_key(calls.id_of(key.id if isinstance(key, UsedKey) else key)))

    async def deliveries(self, separation: Separation | UUID | str) -> list[Delivery]:
        """All attempts to deliver the callback."""
        return await self._do(account_calls.deliveries(calls.id_of(separation)))

    def all_deliveries(self) -> AsyncIterator[AccountDelivery]:
        """The attempts to deliver the callbacks of all separations, newest first."""
        return self._pages(account_calls.all_deliveries)

    async def replay(self, separation: Separation | UUID | str) -> Delivery:
        """Sends the callback once more."""
        return await self._do(account_calls.replay(calls.id_of(separation)))
