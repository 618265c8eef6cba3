"""The methods of both clients for operators, under ``client.operator``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Protocol

from stemwright.client import operator_calls
from stemwright.client.calls import Call, Value
from stemwright.client.operator_records import Model, OperatorTask, Overview, Setting, ThroughputStep
from stemwright.client.records import Page, State


class Do(Protocol):
    """Sends a request, and reads its reply."""

    def __call__(self, call: Call[Value]) -> Value:
        """The value of the reply."""
        ...


class AsyncDo(Protocol):
    """The same for asyncio."""

    async def __call__(self, call: Call[Value]) -> Value:
        """The value of the reply."""
        ...


class Operator:
    """``client.operator``: the whole server, for a key with the scope ``operator``."""

    def __init__(self, do: Do, pages: Callable[[Callable[[str | None], Call[Page[Any]]]], Iterator[Any]]) -> None:
        self._do = do
        self._pages = pages

    def overview(self) -> Overview:
        """The server at a glance: queue, workers, storage."""
        return self._do(operator_calls.overview())

    def tasks(self, state: State | None = None) -> Iterator[OperatorTask]:
        """Tasks of all accounts and APIs, or those in one state, the newest first."""
        return self._pages(lambda after: operator_calls.tasks(after, state))

    def throughput(self, hours: int = 24, step_hours: int = 1) -> list[ThroughputStep]:
        """What was finished in the last hours, and how fast."""
        return self._do(operator_calls.throughput(hours, step_hours))

    def set_maintenance(self, *, on: bool) -> bool:
        """Refuses new tasks, or accepts them again."""
        return self._do(operator_calls.set_maintenance(on=on))

    def settings(self) -> list[Setting]:
        """The settings of the server, without secrets."""
        return self._do(operator_calls.settings())

    def models(self) -> list[Model]:
        """The models that the server knows, and whether they are on its disk."""
        return self._do(operator_calls.models())

    def download_model(self, name: str) -> Model:
        """Begins the download of a model on the server; see ``models`` for its progress."""
        return self._do(operator_calls.download_model(name))


class AsyncOperator:
    """``client.operator``: the whole server, for a key with the scope ``operator``."""

    def __init__(
        self, do: AsyncDo, pages: Callable[[Callable[[str | None], Call[Page[Any]]]], AsyncIterator[Any]]
    ) -> None:
        self._do = do
        self._pages = pages

    async def overview(self) -> Overview:
        """The server at a glance: queue, workers, storage."""
        return await self._do(operator_calls.overview())

    def tasks(self, state: State | None = None) -> AsyncIterator[OperatorTask]:
        """Tasks of all accounts and APIs, or those in one state, the newest first."""
        return self._pages(lambda after: operator_calls.tasks(after, state))

    async def throughput(self, hours: int = 24, step_hours: int = 1) -> list[ThroughputStep]:
        """What was finished in the last hours, and how fast."""
        return await self._do(operator_calls.throughput(hours, step_hours))

    async def set_maintenance(self, *, on: bool) -> bool:
        """Refuses new tasks, or accepts them again."""
        return await self._do(operator_calls.set_maintenance(on=on))

    async def settings(self) -> list[Setting]:
        """The settings of the server, without secrets."""
        return await self._do(operator_calls.settings())

    async def models(self) -> list[Model]:
        """The models that the server knows, and whether they are on its disk."""
        return await self._do(operator_calls.models())

    async def download_model(self, name: str) -> Model:
        """Begins the download of a model on the server; see ``models`` for its progress."""
        return await self._do(operator_calls.download_model(name))
