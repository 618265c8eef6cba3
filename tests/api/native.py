"""Requests to our own API, and what the tests read from replies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from tests.api.conftest import Server
from tests.http_stub import HttpStub, StubHandler


def upload(server: Server, name: str = "My song.mp3") -> dict[str, Any]:
    reply = server.client.post("/v1/tracks", files={"file": (name, server.mp3, "audio/mpeg")})
    assert reply.status_code == 201, reply.text
    return dict(reply.json())


def order(server: Server, **body: Any) -> dict[str, Any]:
    reply = server.client.post("/v1/separations", json={"track_id": upload(server)["id"], **body})
    assert reply.status_code == 201, reply.text
    return dict(reply.json())


def hex_id(record: dict[str, Any]) -> str:
    return str(record["id"]).replace("-", "")


def problem(reply: httpx.Response, status: int, name: str) -> dict[str, Any]:
    """The problem that a reply must be."""
    assert reply.status_code == status, reply.text
    assert reply.headers["content-type"] == "application/problem+json"
    facts = dict(reply.json())
    assert facts["type"] == f"urn:stemwright:problem:{name}"
    assert facts["status"] == status
    assert facts["title"] and facts["detail"]
    assert "Traceback" not in reply.text
    return facts


def events_of(stream: httpx.Response) -> Iterator[tuple[str, dict[str, Any], str]]:
    """Name, data and id of each event."""
    fields: dict[str, str] = {}
    for line in stream.iter_lines():
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield fields["event"], json.loads(fields["data"]), fields["id"]
            fields = {}


class Receiver(HttpStub):
    """A web hook of this machine, and what came: headers and body."""

    def __init__(self) -> None:
        super().__init__(_Hook)
        self.received: list[tuple[dict[str, str], bytes]] = []


class _Hook(StubHandler):
    server: Receiver

    def answer(self) -> None:
        body = self.read_body()
        self.server.received.append(({name.lower(): value for name, value in self.headers.items()}, body))
        self.reply(200)


@contextmanager
def receiver() -> Iterator[tuple[str, list[tuple[dict[str, str], bytes]]]]:
    """A web hook of this machine: its address, and what came."""
    with Receiver() as hook:
        yield f"{hook.url}/hook", hook.received
