"""All streams of events of a server: one look at the database serves them all, and there are only so many."""

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

LOOK_S = 0.25
"""Seconds between two looks at all tasks that are followed; workers note progress once a second."""

KEYS_EVERY_S = 2.0
"""Seconds between two looks at the keys: a stream whose key is revoked ends."""

AT_ONCE = 8
BREATH_S = 0.005
"""So many streams are woken, and then other requests get so long: a thousand streams of one task hold up nobody."""

RETRY_MS = 2000

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class News:
    """A task as its streams tell of it.

    Attributes:
        mark: names what a client has seen; the same wherever the stream is taken up again.
        event: the bytes of the server-sent event.
    """

    mark: str
    event: bytes
    has_ended: bool


@dataclass(eq=False)
class Stream:
    """One open stream."""

    account_id: str
    key_id: str
    task_id: str
    woken: asyncio.Event = field(default_factory=asyncio.Event)
    is_over: bool = False


@dataclass(eq=False)
class _Followed:
    """A task and its streams."""

    news: News
    streams: set[Stream] = field(default_factory=set)


@dataclass(frozen=True)
class _Look:
    """What a look at the database found: tasks that changed or are gone (None), and keys that are in use."""

    changed: dict[str, News | None]
    keys: frozenset[str] | None


class Streams:
    """The streams of one server. Its methods are for the thread of the event loop."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._followed: dict[str, _Followed] = {}
        self._of_account: Counter[str] = Counter()
        self._watcher: asyncio.Task[None] | None = None

    @property
    def n_open(self) -> int:
        """Streams that are open now."""
        return self._of_account.total()

    def open(self, who: Caller, task_id: str, news: News) -> Stream:
        """Opens a stream; ``close`` it.

        Args:
            news: of the task, as it was just now.

        Raises:
            TooManyStreams: the account has as many as it may.
            StreamLimitReached: the server has.
        """
        most, most_of_all = self._service.settings.account_event_streams, self._service.settings.event_streams
        if most and self._of_account[who.account_id] >= most:
            raise TooManyStreams(
                f"As many streams of events are open as an account may have ({most}): close some, or poll the separation."
            )
        if most_of_all and self.n_open >= most_of_all:
            raise StreamLimitReached(
                "As many streams of events are open as this server has: poll the separation, or try again later."
            )
        stream = Stream(who.account_id, who.key_id, task_id)
        self._of_account[who.account_id] += 1
        self._followed.setdefault(task_id, _Followed(news)).streams.add(stream)
        if self._watcher is None:
            self._watcher = asyncio.get_running_loop().create_task(self._watch())
        return stream

    def close(self, stream: Stream) -> None:
        """Forgets a stream."""
        followed = self._followed.get(stream.task_id)
        if followed is None or stream not in followed.streams:
            return
        followed.streams.remove(stream)
        if not followed.streams:
            del self._followed[stream.task_id]
        self._of_account[stream.account_id] -= 1
        if not self._of_account[stream.account_id]:
            del self._of_account[stream.account_id]

    async def events(self, stream: Stream, seen: str | None) -> AsyncIterator[bytes]:
        """What the stream sends: the newest state whenever it is another, until the task or the key has ended.

        Args:
            seen: the mark of what its client has seen.
        """
        followed = self._followed[stream.task_id]
        while not stream.is_over:
            stream.woken.clear()
            news = followed.news
            if news.mark != seen:
                seen = news.mark
                yield news.event
            elif news.has_ended:
                return
            else:
                await stream.woken.wait()

    async def _watch(self) -> None:
        """Looks at the database for as long as there are streams."""
        try:
            keys_at = time.monotonic() + KEYS_EVERY_S
            while self._followed:
                with_keys = time.monotonic() >= keys_at
                marks = {task_id: followed.news.mark for task_id, followed in self._followed.items()}
                keys = self._keys() if with_keys else frozenset[str]()
                try:
                    await self._tell(await run_in_threadpool(self._look, marks, keys), keys)
                    keys_at = time.monotonic() + KEYS_EVERY_S if with_keys else keys_at
                except Exception:  # the database may be busy or full for a moment: the streams outlive that
                    log.exception("the tasks of streams could not be read")
                await asyncio.sleep(LOOK_S)
        finally:
            self._watcher = None

    def _look(self, marks: dict[str, str], keys: Collection[str]) -> _Look:
        found = self._service.tasks.marks(marks)
        changed: dict[str, News | None] = {}
        for task_id, mark in marks.items():
            if found.get(task_id) != mark:
                task = self._service.tasks.any(task_id)
                changed[task_id] = news_of(self._service, task) if task is not None else None
        return _Look(changed, frozenset(self._service.keys.in_use(keys)) if keys else None)

    async def _tell(self, look: _Look, asked: Collection[str]) -> None:
        woken = []
        for task_id, news in look.changed.items():
            if (followed := self._followed.get(task_id)) is None:
                continue
            if news is not None:
                followed.news = news
            for stream in followed.streams:
                stream.is_over = stream.is_over or news is None
                woken.append(stream)
        if look.keys is not None:
            revoked = set(asked) - look.keys
            for stream in self._all():
                if stream.key_id in revoked:
                    stream.is_over = True
                    woken.append(stream)
        for place, stream in enumerate(woken, 1):
            stream.woken.set()
            if place % AT_ONCE == 0:
                await asyncio.sleep(BREATH_S)

    def _keys(self) -> frozenset[str]:
        return frozenset(stream.key_id for stream in self._all())

    def _all(self) -> list[Stream]:
        return [stream for followed in self._followed.values() for stream in followed.streams]


def news_of(service: Service, task: Task) -> News:
    """A task as its streams tell of it."""
    event = ServerSentEvent(
        data=separation_view(service, task).model_dump_json(),
        event="end" if task.has_ended else "progress",
        id=task.mark,
        retry=RETRY_MS,
        sep="\n",
    )
    return News(task.mark, event.encode(), task.has_ended)
