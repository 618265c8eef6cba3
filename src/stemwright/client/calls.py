"""The calls of our own API as plain values, and what both clients do alike: retries, replies, time limits."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx

from stemwright.client.errors import ApiError, SeparationFailedError, UnreachableError, WaitTimeoutError, api_error
from stemwright.client.records import (
    Credits,
    Delivery,
    Page,
    Plan,
    Separation,
    Track,
    read_credits,
    read_delivery,
    read_plan,
    read_separation,
    read_track,
)

Value = TypeVar("Value")

TRIES = 5
LONGEST_PAUSE_S = 60.0
PAGE = 100

POLL_S = 1.0
"""Between two looks at a separation whose stream of events broke."""

STREAM_SILENCE_S = 40.0
"""The server sends a heartbeat every 15 s; a stream that is silent for longer is dead."""


@dataclass(frozen=True)
class Call(Generic[Value]):
    """One request and the way to read its reply.

    Attributes:
        repeatable: doing it twice is as good as once, so it may be sent again when nobody knows whether it arrived.
    """

    method: str
    path: str
    read: Callable[[Any], Value]
    body: dict[str, Any] | None = None
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    repeatable: bool = True


def add_url(url: str, title: str | None) -> Call[Track]:
    """A track for an address."""
    body = {"url": url} if title is None else {"url": url, "title": title}
    return Call("POST", "/v1/tracks", read_track, body, repeatable=False)


def track(track_id: str) -> Call[Track]:
    """A track."""
    return Call("GET", f"/v1/tracks/{track_id}", read_track)


def tracks(after: str | None) -> Call[Page[Track]]:
    """A page of tracks."""
    return Call(
        "GET",
        "/v1/tracks",
        lambda reply: Page(tuple(map(read_track, reply["tracks"])), reply["next"]),
        query=_query(after),
    )


def delete_track(track_id: str) -> Call[None]:
    """Deletes a track."""
    return Call("DELETE", f"/v1/tracks/{track_id}", _nothing)


def separate(
    source: dict[str, str],
    *,
    stems: str | Sequence[str],
    plan: str,
    format: str,
    bit_depth: int | None,
    bitrate_kbps: int | None,
    callback_url: str | None,
    priority: int,
    idempotency_key: str | None,
) -> Call[Separation]:
    """An order. It always has an idempotency key, so that it can be sent again."""
    body = {
        **source,
        "stems": stems if isinstance(stems, str) else list(stems),
        "plan": plan,
        "format": format,
        "bit_depth": bit_depth,
        "bitrate_kbps": bitrate_kbps,
        "callback_url": callback_url,
        "priority": priority,
    }
    headers = {"Idempotency-Key": idempotency_key or uuid.uuid4().hex}
    return Call("POST", "/v1/separations", read_separation, body, headers=headers)


def separation(separation_id: str) -> Call[Separation]:
    """A separation."""
    return Call("GET", f"/v1/separations/{separation_id}", read_separation)


def separations(after: str | None, state: str | None) -> Call[Page[Separation]]:
    """A page of separations."""
    query = _query(after) if state is None else {**_query(after), "state": state}
    return Call(
        "GET",
        "/v1/separations",
        lambda reply: Page(tuple(map(read_separation, reply["separations"])), reply["next"]),
        query=query,
    )


def cancel(separation_id: str) -> Call[Separation]:
    """Cancels a separation."""
    return Call("POST", f"/v1/separations/{separation_id}/cancel", read_separation)


def delete(separation_id: str) -> Call[None]:
    """Forgets a separation."""
    return Call("DELETE", f"/v1/separations/{separation_id}", _nothing)


def deliveries(separation_id: str) -> Call[list[Delivery]]:
    """The log of a callback."""
    return Call(
        "GET",
        f"/v1/separations/{separation_id}/deliveries",
        lambda reply: [read_delivery(delivery) for delivery in reply["deliveries"]],
    )


def replay(separation_id: str) -> Call[Delivery]:
    """Sends a callback once more."""
    return Call("POST", f"/v1/separations/{separation_id}/deliveries/replay", read_delivery, repeatable=False)


def credits_left() -> Call[Credits]:
    """What the account has."""
    return Call("GET", "/v1/credits", read_credits)


def plans() -> Call[list[Plan]]:
    """What separates songs."""
    return Call("GET", "/v1/plans", lambda reply: [read_plan(plan) for plan in reply["plans"]])


def id_of(record: Track | Separation | str) -> str:
    """The id of a record, or the id itself, as a part of a path."""
    return quote(record if isinstance(record, str) else record.id, safe="")


def source_of(song: Track | Path | str) -> dict[str, str] | Path:
    """How an order names a song; a path where it has to be uploaded first."""
    if isinstance(song, Track):
        return {"track_id": song.id}
    if isinstance(song, Path):
        return song
    if song.lower().startswith(("http://", "https://")):
        return {"url": song}
    try:
        return {"track_id": str(uuid.UUID(song))}
    except ValueError:
        return Path(song)


def pause_after(reply: httpx.Response, tries: int) -> float:
    """Seconds to wait before a call is sent again that the server did not take (429, 503). The body has been read.

    Raises:
        ApiError: the reply stands.
    """
    asked = _retry_after(reply.headers.get("retry-after"))
    pause = _backoff(tries) if asked is None else asked
    if reply.status_code not in (429, 503) or tries >= TRIES or pause > LONGEST_PAUSE_S:
        raise _error_of(reply)
    return pause


def pause_after_error(error: httpx.TransportError, tries: int, *, repeatable: bool) -> float:
    """Seconds to wait before a call is sent again whose connection failed.

    Raises:
        UnreachableError: it was tried often enough, or may have arrived and must not arrive twice.
    """
    nothing_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    if tries >= TRIES or not (repeatable or nothing_sent):
        raise UnreachableError(
            f"The server did not answer ({error or type(error).__name__}); is it running?"
        ) from error
    return _backoff(tries)


def finished(ended: Separation) -> Separation:
    """The separation, if it succeeded.

    Raises:
        SeparationFailedError: it did not.
    """
    if ended.state != "succeeded":
        raise SeparationFailedError(ended)
    return ended


class Deadline:
    """When to stop waiting; ``None`` seconds: never."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._end = None if seconds is None else time.monotonic() + seconds

    def check(self) -> None:
        """Raises WaitTimeoutError when the time is over."""
        if self._end is not None and time.monotonic() >= self._end:
            raise WaitTimeoutError(f"The separation has not ended after {self._seconds:g} s; it goes on.")

    def at_most(self, seconds: float) -> float:
        """So many seconds, or what is left."""
        return seconds if self._end is None else max(0.01, min(seconds, self._end - time.monotonic()))


def _error_of(reply: httpx.Response) -> ApiError:
    try:
        problem = reply.json()
    except ValueError:
        problem = None
    return api_error(reply.status_code, reply.reason_phrase, problem)


def _query(after: str | None) -> dict[str, str]:
    return {"limit": str(PAGE)} if after is None else {"limit": str(PAGE), "after": after}


def _backoff(tries: int) -> float:
    return float(0.25 * 2 ** (tries - 1))


def _retry_after(header: str | None) -> float | None:
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None


def _nothing(_reply: Any) -> None:
    return None
