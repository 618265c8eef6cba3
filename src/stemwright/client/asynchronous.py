"""The client for asyncio; its methods are those of ``Client``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Literal, TypeVar
from uuid import UUID

import httpx

from stemwright import arguments
from stemwright.arguments import AnyPath
from stemwright.client import calls, retries, waiting
from stemwright.client.account_methods import AsyncAccountMethods
from stemwright.client.calls import Call, Value
from stemwright.client.events import EventReader
from stemwright.client.files import Download, stem_paths
from stemwright.client.operator_methods import AsyncOperator
from stemwright.client.records import Format, Order, Page, Plan, Separation, State, Track
from stemwright.client.rendering_methods import AsyncRenderingMethods
from stemwright.client.result_methods import AsyncResultMethods
from stemwright.client.waiting import Deadline
from stemwright.errors import UnreadableInputError

Record = TypeVar("Record")
OnProgress = Callable[[Separation], None]
Updates = AsyncGenerator[Separation, None]


class AsyncClient(AsyncAccountMethods, AsyncRenderingMethods, AsyncResultMethods):
    """Client of a Stemwright server for asyncio; close it, or use it in an ``async with``.

    Requests that failed in transit, or that the server asks to retry later, are retried where that is safe.
    Methods raise ``ApiError`` (a subclass) when the server refuses, and ``UnreachableError`` when it does not answer.

    Args:
        url: URL of the server, such as ``https://stems.example.org``.
        key: an API key of it.
        timeout_s: seconds without a response, or between two reads of one.

    Raises:
        UsageError: an argument is invalid; methods raise it too.
    """

    def __init__(self, url: str = "http://127.0.0.1:8000", *, key: str, timeout_s: float = 60.0) -> None:
        self._url = calls.base_url(url)
        # Links to files carry their own signature: the key is sent to our own API only, never to the target of a link.
        self._key = calls.authorization(key)
        self._http = httpx.AsyncClient(timeout=calls.seconds(timeout_s, "timeout_s"), follow_redirects=False)
        self.operator = AsyncOperator(self._do, self._pages)
        """The whole server, for a key with the scope ``operator``."""

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.aclose()

    async def upload(self, path: AnyPath, *, title: str | None = None) -> Track:
        """Uploads a song.

        Raises:
            UnreadableInputError: the file cannot be read.
        """
        path = arguments.path(path, "path")
        titled = calls.title_of(title)
        fields = {} if titled is None else {"title": titled}
        try:
            with path.open("rb") as file:

                def request() -> httpx.Request:
                    file.seek(0)
                    files = {"file": (path.name, file)}
                    return self._http.build_request(
                        "POST", f"{self._url}/v1/tracks", headers=self._key, data=fields, files=files
                    )

                return calls.read_reply(calls.uploaded(), await self._send(request, repeatable=False))
        except OSError as error:
            raise UnreadableInputError(f"{path} cannot be read ({error.strerror}): name an audio file.") from error

    async def add_url(self, url: str, *, title: str | None = None) -> Track:
        """Creates a track for a URL; the server fetches it when it is first separated."""
        return await self._do(calls.add_url(url, title))

    async def track(self, track: Track | UUID | str) -> Track:
        """The song as it is now."""
        return await self._do(calls.track(calls.id_of(track)))

    def tracks(self) -> AsyncIterator[Track]:
        """All songs, the newest first."""
        return self._pages(calls.tracks)

    async def rename_track(self, track: Track | UUID | str, title: str) -> Track:
        """Gives a song another title."""
        return await self._do(calls.rename_track(calls.id_of(track), title))

    async def delete_track(self, track: Track | UUID | str) -> None:
        """Deletes a song; stems that were made of it stay."""
        await self._do(calls.delete_track(calls.id_of(track)))

    async def separate(
        self,
        song: Track | AnyPath | UUID,
        *,
        stems: str | Iterable[str] = "two",
        plan: str = "auto",
        format: Format = "wav",
        bit_depth: Literal[16, 24, 32] | None = None,
        bitrate_kbps: int | None = None,
        callback_url: str | None = None,
        priority: int = 0,
        idempotency_key: str | None = None,
        playing: str | Iterable[str] | None = None,
    ) -> Separation:
        """Submits a separation and returns at once.

        Args:
            song: a track or its id, a URL, or a file, which is uploaded.
            stems: ``two``, ``twelve``, or names.
            plan: see ``plans``.
            format: of the stems.
            bit_depth: of wav, flac and aiff; None takes the song's own.
            bitrate_kbps: of lossy formats; None takes a variable one of high quality.
            callback_url: called when the separation has ended.
            priority: from -10 to 10, higher ones first.
            idempotency_key: identifies this request, so that repeating it starts no second separation; None creates one.
            playing: the stems that play in the song, where you know them; None lets the networks decide.
        """
        source = calls.source_of(song)
        if isinstance(source, Path):
            source = {"track_id": (await self.upload(source)).id}
        return await self._do(
            calls.separate(
                source,
                stems=stems,
                plan=plan,
                format=format,
                bit_depth=bit_depth,
                bitrate_kbps=bitrate_kbps,
                callback_url=callback_url,
                priority=priority,
                idempotency_key=idempotency_key,
                playing=playing,
            )
        )

    async def separation(self, separation: Separation | UUID | str) -> Separation:
        """The separation as it is now."""
        return await self._do(calls.separation(calls.id_of(separation)))

    def separations(
        self, state: State | None = None, *, title: str | None = None, order: Order = "newest"
    ) -> AsyncIterator[Separation]:
        """All separations, or those in one state, or of songs whose title has a text."""
        return self._pages(lambda after: calls.separations(after, state, title, order))

    async def wait(
        self,
        separation: Separation | UUID | str,
        *,
        on_progress: OnProgress | None = None,
        timeout_s: float | None = None,
        poll_s: float | None = None,
    ) -> Separation:
        """Waits until a separation has ended, and returns it.

        Args:
            separation: it, or its id.
            on_progress: called whenever the separation has progressed.
            timeout_s: seconds to wait at most.
            poll_s: seconds between two polls; None uses server-sent events instead.

        Raises:
            SeparationFailedError: the separation failed or was cancelled.
            WaitTimeoutError: the timeout expired; the separation continues.
        """
        arguments.function(on_progress, "on_progress")
        pause_s = None if poll_s is None else calls.seconds(poll_s, "poll_s")
        async with aclosing(self._updates(calls.id_of(separation), Deadline(timeout_s), pause_s)) as updates:
            async for current in updates:
                if on_progress is not None:
                    on_progress(current)
                if current.has_ended:
                    break
        return waiting.finished(current)

    async def cancel(self, separation: Separation | UUID | str) -> Separation:
        """Cancels a separation: a waiting one at once, a running one soon. One that has ended stays as it is."""
        return await self._do(calls.cancel(calls.id_of(separation)))

    async def delete(self, separation: Separation | UUID | str, *, with_track: bool = False) -> None:
        """Deletes an ended separation and its stems; ``with_track`` also its song, unless another separation needs it."""
        await self._do(calls.delete(calls.id_of(separation), with_track=with_track))

    async def download(self, separation: Separation | UUID | str, folder: AnyPath) -> list[Path]:
        """Downloads all stems as ``folder/<name>.<format>`` and returns the paths, in order.

        Raises:
            StorageError: disk full, or no permission.
        """
        target = arguments.path(folder, "folder")
        found = separation if isinstance(separation, Separation) else await self.separation(separation)
        return [await self._fetch(stem.url, path, {}) for stem, path in stem_paths(found, target)]

    async def plans(self) -> list[Plan]:
        """The plans that the server offers."""
        return await self._do(calls.plans())

    async def _do(self, call: Call[Value]) -> Value:
        reply = await self._send(partial(call.request, self._http, self._url, self._key), repeatable=call.repeatable)
        return calls.read_reply(call, reply)

    async def _send(self, request: Callable[[], httpx.Request], *, repeatable: bool) -> httpx.Response:
        tries = 0
        while True:
            tries += 1
            try:
                reply = await self._http.send(request())
            except httpx.TransportError as error:
                pause = retries.pause_after_error(error, tries, repeatable=repeatable)
            else:
                if reply.is_success:
                    return reply
                pause = retries.pause_after(reply, tries)
            await asyncio.sleep(pause)

    async def _pages(self, call: Callable[[str | None], Call[Page[Record]]]) -> AsyncIterator[Record]:
        after = None
        while True:
            page = await self._do(call(after))
            for record in page.records:
                yield record
            after = page.next
            if after is None:
                return

    async def _updates(self, separation_id: str, deadline: Deadline, poll_s: float | None) -> Updates:
        """Yields the separation now and at every change, without end."""
        yield await self.separation(separation_id)
        reader = EventReader()
        while True:
            if poll_s is None:
                async with aclosing(self._events(separation_id, reader, deadline)) as events:
                    async for update in events:
                        yield update
            # Fall back to polling if the stream broke, or a proxy blocks streams.
            deadline.check()
            await asyncio.sleep(deadline.at_most(waiting.POLL_S if poll_s is None else poll_s))
            yield await self.separation(separation_id)

    async def _events(self, separation_id: str, reader: EventReader, deadline: Deadline) -> Updates:
        url = f"{self._url}/v1/separations/{separation_id}/events"
        headers = {**self._key, **reader.begin()}
        try:
            async with self._http.stream(
                "GET", url, headers=headers, timeout=deadline.at_most(waiting.STREAM_SILENCE_S)
            ) as reply:
                if reply.status_code != 200:
                    return  # the poll that follows reports the reason
                async for line in reply.aiter_lines():
                    deadline.check()
                    update = reader.feed(line)
                    if update is not None:
                        yield update
        except httpx.TransportError:
            return

    async def _bytes(self, path: str) -> bytes:
        call = Call("GET", path, lambda reply: reply)
        return (await self._send(partial(call.request, self._http, self._url, self._key), repeatable=True)).content

    async def _save(self, path: str, file: Path) -> Path:
        return await self._fetch(f"{self._url}{path}", file, self._key)

    async def _fetch(self, url: str, path: Path, headers: dict[str, str]) -> Path:
        tries = 0
        while True:
            tries += 1
            try:
                async with self._http.stream("GET", url, headers=headers, follow_redirects=True) as reply:
                    if reply.is_success:
                        with Download(path) as download:
                            async for piece in reply.aiter_bytes():
                                download.write(piece)
                            return download.keep()
                    await reply.aread()
            except httpx.TransportError as error:
                pause = retries.pause_after_error(error, tries, repeatable=True)
            else:
                pause = retries.pause_after(reply, tries)
            await asyncio.sleep(pause)
