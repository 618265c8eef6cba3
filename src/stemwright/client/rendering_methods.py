"""The methods of both clients for stems at another speed or in another key."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from uuid import UUID

from stemwright import arguments
from stemwright.client import calls, rendering_calls
from stemwright.client.calls import Call, Value
from stemwright.client.records import Separation
from stemwright.client.rendering_calls import Rendering
from stemwright.client.waiting import POLL_S, Deadline, finished_rendering

OnRendering = Callable[[Rendering], None]


class RenderingMethods(ABC):
    """What the client does with renderings: the stems of a separation at another speed or in another key."""

    @abstractmethod
    def _do(self, call: Call[Value]) -> Value: ...

    def render(
        self,
        separation: Separation | UUID | str,
        *,
        speed: float = 1.0,
        semitones: float = 0.0,
        on_progress: OnRendering | None = None,
        timeout_s: float | None = None,
        poll_s: float = POLL_S,
    ) -> Rendering:
        """Has the stems made at another speed and in another key, and waits for them; then downloads can ask for them.

        Args:
            separation: it, or its id.
            speed: from 0.5 to 2; the pitch stays.
            semitones: from -12 to 12; the speed stays.
            on_progress: called with each state that was polled.
            timeout_s: seconds to wait at most.
            poll_s: seconds between two polls.

        Raises:
            RenderingFailedError: it could not be made.
            WaitTimeoutError: the timeout expired; it is made all the same.
        """
        arguments.function(on_progress, "on_progress")
        pause_s, deadline = calls.seconds(poll_s, "poll_s"), Deadline(timeout_s, "rendering")
        now = self._do(rendering_calls.render(separation, speed, semitones))
        while True:
            if on_progress is not None:
                on_progress(now)
            if now.state != "running":
                return finished_rendering(now)
            deadline.check()
            time.sleep(deadline.at_most(pause_s))
            now = self.rendering(separation, speed=speed, semitones=semitones)

    def rendering(
        self, separation: Separation | UUID | str, *, speed: float = 1.0, semitones: float = 0.0
    ) -> Rendering:
        """How far a rendering is."""
        return self._do(rendering_calls.rendering(separation, speed, semitones))

    def renderings(self, separation: Separation | UUID | str) -> list[Rendering]:
        """All renderings of a separation, oldest first."""
        return self._do(rendering_calls.renderings(separation))

    def delete_rendering(
        self, separation: Separation | UUID | str, *, speed: float = 1.0, semitones: float = 0.0
    ) -> None:
        """Deletes a rendering, or stops it."""
        self._do(rendering_calls.delete_rendering(separation, speed, semitones))


class AsyncRenderingMethods(ABC):
    """What the client does with renderings: the stems of a separation at another speed or in another key."""

    @abstractmethod
    async def _do(self, call: Call[Value]) -> Value: ...

    async def render(
        self,
        separation: Separation | UUID | str,
        *,
        speed: float = 1.0,
        semitones: float = 0.0,
        on_progress: OnRendering | None = None,
        timeout_s: float | None = None,
        poll_s: float = POLL_S,
    ) -> Rendering:
        """Has the stems made at another speed and in another key, and waits for them; then downloads can ask for them.

        Args:
            separation: it, or its id.
            speed: from 0.5 to 2; the pitch stays.
            semitones: from -12 to 12; the speed stays.
            on_progress: called with each state that was polled.
            timeout_s: seconds to wait at most.
            poll_s: seconds between two polls.

        Raises:
            RenderingFailedError: it could not be made.
            WaitTimeoutError: the timeout expired; it is made all the same.
        """
        arguments.function(on_progress, "on_progress")
        pause_s, deadline = calls.seconds(poll_s, "poll_s"), Deadline(timeout_s, "rendering")
        now = await self._do(rendering_calls.render(separation, speed, semitones))
        while True:
            if on_progress is not None:
                on_progress(now)
            if now.state != "running":
                return finished_rendering(now)
            deadline.check()
            await asyncio.sleep(deadline.at_most(pause_s))
            now = await self.rendering(separation, speed=speed, semitones=semitones)

    async def rendering(
        self, separation: Separation | UUID | str, *, speed: float = 1.0, semitones: float = 0.0
    ) -> Rendering:
        """How far a rendering is."""
        return await self._do(rendering_calls.rendering(separation, speed, semitones))

    async def renderings(self, separation: Separation | UUID | str) -> list[Rendering]:
        """All renderings of a separation, oldest first."""
        return await self._do(rendering_calls.renderings(separation))

    async def delete_rendering(
        self, separation: Separation | UUID | str, *, speed: float = 1.0, semitones: float = 0.0
    ) -> None:
        """Deletes a rendering, or stops it."""
        await self._do(rendering_calls.delete_rendering(separation, speed, semitones))
