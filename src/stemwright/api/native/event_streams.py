"""All event streams of a server. One poll of the database serves all of them, and their number is limited."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass, field

import structlog
from sse_starlette import ServerSentEvent
from starlette.concurrency import run_in_threadpool

from stemwright.api.native.views import separation_view
from stemwright.service.errors import StreamLimitReached, TooManyStreams
from stemwright.service.keys import Caller
from stemwright.service.service import Service
from stemwright.service.task import Task

POLL_INTERVAL_S = 0.25
"""Seconds between two polls of all followed tasks. Workers write progress once a second."""

KEY_CHECK_INTERVAL_S = 2.0
"""Seconds between two checks of the keys. A stream whose key is revoked ends."""

WAKE_BATCH_SIZE = 8
WAKE_PAUSE_S = 0.005
"""Pause after each batch of streams, so that other requests are served while a thousand streams of one task are woken."""

RETRY_MS = 2000

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class TaskEvent:
    """The state of a task as an event.

    Attributes:
        mark: the id of the event, the same in every stream and after a reconnect.
        encoded: the bytes of the server-sent event.
    """

    mark: str
    encoded: bytes
    has_ended: bool


@dataclass(eq=False)
class EventStream:
    """One open stream."""

    account_id: str
    key_id: str
    task_id: str
    wakeup: asyncio.Event = field(default_factory=asyncio.Event)
    is_closed: bool = False


@dataclass(eq=False)
class _FollowedTask:
    """A task with its open streams."""

    event: TaskEvent
    streams: set[EventStream] = field(default_factory=set)


@dataclass(frozen=True)
class _PollResult:
    """The result of one poll: tasks that changed or no longer exist (None), and keys that are valid."""

    changed: dict[str, TaskEvent | None]
    keys: frozenset[str] | None


class EventStreams:
    """The open streams of one server. Call its methods in the thread of the event loop only."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._followed: dict[str, _FollowedTask] = {}
        self._n_by_account: Counter[str] = Counter()
        self._poller: asyncio.Task[None] | None = None

    @property
    def n_open(self) -> int:
        """The number of open streams."""
        return self._n_by_account.total()

    def open(self, caller: Caller, task_id: str, event: TaskEvent) -> EventStream:
        """Opens a stream. The caller must ``close`` it.

        Args:
            event: the current state of the task.

        Raises:
            TooManyStreams: the account has the maximum number open.
            StreamLimitReached: the server has the maximum number open.
        """
        account_limit, server_limit = self._service.settings.account_event_streams, self._service.settings.event_streams
        if account_limit and self._n_by_account[caller.account_id] >= account_limit:
            raise TooManyStreams(
                f"Your account has the maximum number of event streams open ({account_limit}): "
                "close some, or poll the separation."
            )
        if server_limit and self.n_open >= server_limit:
            raise StreamLimitReached(
                "This server has the maximum number of event streams open: poll the separation, or try again later."
            )
        stream = EventStream(caller.account_id, caller.key_id, task_id)
        self._n_by_account[caller.account_id] += 1
        self._followed.setdefault(task_id, _FollowedTask(event)).streams.add(stream)
        if self._poller is None:
            self._poller = asyncio.get_running_loop().create_task(self._poll_until_closed())
        return stream

    def close(self, stream: EventStream) -> None:
        """Closes a stream. Closing it again has no effect."""
        followed = self._followed.get(stream.task_id)
        if followed is None or stream not in followed.streams:
            return
        followed.streams.remove(stream)
        if not followed.streams:
            del self._followed[stream.task_id]
        self._n_by_account[stream.account_id] -= 1
        if not self._n_by_account[stream.account_id]:
            del self._n_by_account[stream.account_id]

    async def events(self, stream: EventStream, last_mark: str | None) -> AsyncIterator[bytes]:
        """The events of a stream: the newest state after each change, until the task ends or the key is revoked.

        Args:
            last_mark: id of the last event that the client received.
        """
        followed = self._followed[stream.task_id]
        while not stream.is_closed:
            stream.wakeup.clear()
            event = followed.event
            if event.mark != last_mark:
                last_mark = event.mark
                yield event.encoded
            elif event.has_ended:
                return
            else:
                await stream.wakeup.wait()

    async def _poll_until_closed(self) -> None:
        """Polls the database while there are open streams."""
        try:
            next_key_check = time.monotonic() + KEY_CHECK_INTERVAL_S
            while self._followed:
                checks_keys = time.monotonic() >= next_key_check
                marks = {task_id: followed.event.mark for task_id, followed in self._followed.items()}
                keys = self._key_ids() if checks_keys else frozenset[str]()
                try:
                    await self._apply(await run_in_threadpool(self._poll, marks, keys), keys)
                    next_key_check = time.monotonic() + KEY_CHECK_INTERVAL_S if checks_keys else next_key_check
                except Exception:  # the database may be busy or full for a moment; try again
                    log.exception("the tasks of streams could not be read")
                await asyncio.sleep(POLL_INTERVAL_S)
        finally:
            self._poller = None

    def _poll(self, marks: dict[str, str], keys: Collection[str]) -> _PollResult:
        found = self._service.tasks.marks(marks)
        changed: dict[str, TaskEvent | None] = {}
        for task_id, mark in marks.items():
            if found.get(task_id) != mark:
                task = self._service.tasks.any(task_id)
                changed[task_id] = task_event(self._service, task) if task is not None else None
        return _PollResult(changed, frozenset(self._service.keys.in_use(keys)) if keys else None)

    async def _apply(self, result: _PollResult, checked_keys: Collection[str]) -> None:
        to_wake = []
        for task_id, event in result.changed.items():
            if (followed := self._followed.get(task_id)) is None:
                continue
            if event is not None:
                followed.event = event
            for stream in followed.streams:
                stream.is_closed = stream.is_closed or event is None
                to_wake.append(stream)
        if result.keys is not None:
            revoked = set(checked_keys) - result.keys
            for stream in self._open_streams():
                if stream.key_id in revoked:
                    stream.is_closed = True
                    to_wake.append(stream)
        for place, stream in enumerate(to_wake, 1):
            stream.wakeup.set()
            if place % WAKE_BATCH_SIZE == 0:
                await asyncio.sleep(WAKE_PAUSE_S)

    def _key_ids(self) -> frozenset[str]:
        return frozenset(stream.key_id for stream in self._open_streams())

    def _open_streams(self) -> list[EventStream]:
        return [stream for followed in self._followed.values() for stream in followed.streams]


def task_event(service: Service, task: Task) -> TaskEvent:
    """The current state of a task as an event."""
    event = ServerSentEvent(
        data=separation_view(service, task).model_dump_json(),
        event="end" if task.has_ended else "progress",
        id=task.mark,
        retry=RETRY_MS,
        sep="\n",
    )
    return TaskEvent(task.mark, event.encode(), task.has_ended)
