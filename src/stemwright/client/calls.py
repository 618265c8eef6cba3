"""Requests of our own API as data, with the way to read their replies; both clients send them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args
from urllib.parse import quote

import httpx

from stemwright import arguments
from stemwright.arguments import AnyPath
from stemwright.client.errors import (
    ServerError,
)
from stemwright.client.records import (
    Order,
    Page,
    Plan,
    Separation,
    State,
    Track,
    read_plan,
    read_separation,
    read_track,
)
from stemwright.errors import UsageError

Value = TypeVar("Value")

PAGE = 100
"""Records of a page."""


@dataclass(frozen=True)
class Call(Generic[Value]):
    """One request and the way to read its reply.

    Attributes:
        repeatable: the request is idempotent, so it may be sent again if it is unknown whether it arrived.
    """

    method: str
    path: str
    read: Callable[[Any], Value]
    body: dict[str, Any] | None = None
    query: dict[str, str] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    repeatable: bool = True

    def request(self, http: httpx.Client | httpx.AsyncClient, url: str, key: dict[str, str]) -> httpx.Request:
        """The request for a server, with the header that carries the key."""
        headers = {**key, **self.headers}
        query = self.query or None  # an empty one would take the place of one in the path
        return http.build_request(self.method, f"{url}{self.path}", params=query, json=self.body, headers=headers)


def base_url(url: object) -> str:
    """The address of a server, without a slash at its end.

    Raises:
        UsageError: it is not a URL.
    """
    wanted = "give the server's address, as https://stems.example.org"
    base = arguments.text(url, "url").strip().rstrip("/")
    try:
        parsed = httpx.URL(base)
    except httpx.InvalidURL as error:
        raise UsageError(f"url cannot be read ({error}): {wanted}.") from error
    if parsed.scheme not in ("http", "https") or not parsed.host:
        raise UsageError(f"url is {base!r}: {wanted}.")
    return base


def authorization(key: object) -> dict[str, str]:
    """The header that carries a key.

    Raises:
        UsageError: it cannot be a key.
    """
    return {"Authorization": f"Bearer {_header(key, 'key')}"}


def seconds(value: object, name: str) -> float:
    """A time of more than 0 seconds; raises UsageError."""
    found = arguments.number(value, name, "seconds")
    if found <= 0:
        raise UsageError(f"{name} is {found:g}: give more than 0 seconds.")
    return found


def title_of(title: object) -> str | None:
    """A title, or None; raises UsageError."""
    return None if title is None else arguments.text(title, "title")


def add_url(url: str, title: str | None) -> Call[Track]:
    """A track for an address."""
    body = {"url": arguments.text(url, "url")}
    if title is not None:
        body["title"] = arguments.text(title, "title")
    return Call("POST", "/v1/tracks", read_track, body, repeatable=False)


def uploaded() -> Call[Track]:
    """How the reply to an upload is read."""
    return Call("POST", "/v1/tracks", read_track, repeatable=False)


def track(track_id: str) -> Call[Track]:
    """A track."""
    return Call("GET", f"/v1/tracks/{track_id}", read_track)


def tracks(after: str | None) -> Call[Page[Track]]:
    """A page of tracks."""
    return Call(
        "GET",
        "/v1/tracks",
        lambda reply: Page(tuple(map(read_track, reply["tracks"])), reply["next"]),
        query=page_query(after),
    )


def rename_track(track_id: str, title: str) -> Call[Track]:
    """Renames a track."""
    return Call("PATCH", f"/v1/tracks/{track_id}", read_track, {"title": arguments.text(title, "title")})


def delete_track(track_id: str) -> Call[None]:
    """Deletes a track."""
    return Call("DELETE", f"/v1/tracks/{track_id}", nothing)


def separate(
    source: dict[str, str],
    *,
    stems: str | Iterable[str],
    plan: str,
    format: str,
    bit_depth: int | None,
    bitrate_kbps: int | None,
    callback_url: str | None,
    priority: int,
    idempotency_key: str | None,
    playing: str | Iterable[str] | None,
) -> Call[Separation]:
    """An order. It always has an idempotency key, so that it can be sent again; raises UsageError."""
    body = {
        **source,
        "stems": stems if isinstance(stems, str) else arguments.words(stems, "stems"),
        "plan": arguments.text(plan, "plan"),
        "format": arguments.text(format, "format"),
        "bit_depth": _optional(bit_depth, "bit_depth", "bits"),
        "bitrate_kbps": _optional(bitrate_kbps, "bitrate_kbps", "kbit/s"),
        "callback_url": None if callback_url is None else arguments.text(callback_url, "callback_url"),
        "priority": arguments.whole(priority, "priority", "steps", lowest=-10, highest=10),
    }
    if playing is not None:  # older servers refuse the field
        body["playing"] = playing if isinstance(playing, str) else arguments.words(playing, "playing")
    named = uuid.uuid4().hex if idempotency_key is None else _header(idempotency_key, "idempotency_key")
    headers = {"Idempotency-Key": named}
    return Call("POST", "/v1/separations", read_separation, body, headers=headers)


def separation(separation_id: str) -> Call[Separation]:
    """A separation."""
    return Call("GET", f"/v1/separations/{separation_id}", read_separation)


def separations(after: str | None, state: str | None, title: str | None, order: str) -> Call[Page[Separation]]:
    """A page of separations."""
    query = page_query(after) | {"order": arguments.choice(order, "order", get_args(Order))}
    if title is not None:
        query["title"] = arguments.text(title, "title")
    if state is not None:
        query["state"] = arguments.choice(state, "state", get_args(State))
    return Call(
        "GET",
        "/v1/separations",
        lambda reply: Page(tuple(map(read_separation, reply["separations"])), reply["next"]),
        query=query,
    )


def cancel(separation_id: str) -> Call[Separation]:
    """Cancels a separation."""
    return Call("POST", f"/v1/separations/{separation_id}/cancel", read_separation)


def delete(separation_id: str, *, with_track: bool) -> Call[None]:
    """Forgets a separation."""
    query = {"with_track": "true"} if with_track else {}
    return Call("DELETE", f"/v1/separations/{separation_id}", nothing, query=query)


def plans() -> Call[list[Plan]]:
    """The plans that the server offers."""
    return Call("GET", "/v1/plans", lambda reply: [read_plan(plan) for plan in reply["plans"]])


def id_of(record: object) -> str:
    """The id of a record, or the id itself, as a part of a path.

    Raises:
        UsageError: it is neither.
    """
    if isinstance(record, Track | Separation):
        return quote(record.id, safe="")
    if isinstance(record, uuid.UUID):
        return str(record)
    named = arguments.text(record, "the id of a track or separation").strip()
    if named in (".", ".."):
        raise UsageError(f"{named!r} is not the id of a track or separation: give an id from the server.")
    return quote(named, safe="")


def source_of(song: Track | AnyPath | uuid.UUID) -> dict[str, str] | Path:
    """How an order names a song; a path where it has to be uploaded first.

    Raises:
        UsageError: it is not a song.
    """
    if isinstance(song, Track):
        return {"track_id": song.id}
    if isinstance(song, uuid.UUID):
        return {"track_id": str(song)}
    if isinstance(song, str):
        if song.strip().lower().startswith(("http://", "https://")):
            return {"url": song.strip()}
        try:
            return {"track_id": str(uuid.UUID(song))}
        except ValueError:
            pass
    return arguments.path(song, "song")


def read_reply(call: Call[Value], reply: httpx.Response) -> Value:
    """What a reply says.

    Raises:
        ServerError: the response is not from a Stemwright server.
    """
    try:
        return call.read(reply.json() if reply.content else None)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise ServerError(
            reply.status_code,
            "about:blank",
            "Not a Stemwright server",
            f"The server at {reply.url.copy_with(path='/', query=None)} is not a Stemwright server, or has another "
            "version: check the URL.",
        ) from error


def _header(value: object, name: str) -> str:
    """Text that a header can hold."""
    found = arguments.text(value, name).strip()
    if not found.isascii() or not found.isprintable():
        raise UsageError(f"{name} has characters that are not allowed in a header: use printable ASCII.")
    return found


def _optional(value: object, name: str, unit: str) -> int | None:
    return None if value is None else arguments.whole(value, name, unit, lowest=1, highest=1_000_000)


def page_query(after: str | None) -> dict[str, str]:
    """The query of a page."""
    return {"limit": str(PAGE)} if after is None else {"limit": str(PAGE), "after": after}


def nothing(_reply: Any) -> None:
    """Reads no reply."""
    return None
