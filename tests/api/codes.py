"""The table of codes in docs/api.md, and what is needed to provoke each of its rows."""

from __future__ import annotations

import gzip
import http.client
import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any
from unittest import mock

import httpx
from structlog.testing import capture_logs

from stemwright.api import base64_body, body, multipart
from stemwright.database import tables
from stemwright.service.ids import dashed
from stemwright.service.keys import Keys
from stemwright.service.separation_handler import SeparationHandler
from stemwright.service.tracks import Track
from tests.api.conftest import OpenServer, Server
from tests.service.stub_context import StubContext
from tests.stand_in import CRUN_KEY, KIE_KEY, StandIn
from tests.waiting import PATIENCE_S

PAGE = Path(__file__).parents[2] / "docs" / "api.md"
HEAD = "| face | endpoint | cause | HTTP | code | msg | credits |"

BODIES = {
    "the body is not JSON": b"{'taskId': 1}",
    "the body is no JSON object": b"[]",
    "the body is nested too deep": b'{"a":' * 40 + b"1" + b"}" * 40,
    "the body holds NUL or half a surrogate pair": b'{"a": "\\u0000"}',
    "the body has more than 1 MB": b'{"a": "' + b"a" * 1_000_000 + b'"}',
}
"""Bodies that no endpoint takes."""

SHORT_S = 0.1
"""A limit for what never comes."""

SECRET = "a secret of the inside"
GRANTED = 1_000_00
"""Hundredths of a credit."""


@dataclass(frozen=True)
class Row:
    """A row as it is written. In ``msg`` an ellipsis stands for what differs from time to time."""

    face: str
    endpoint: str
    cause: str
    http: str
    code: str
    msg: str
    credits: str

    @property
    def key(self) -> Key:
        return self.face, self.endpoint, self.cause

    def says(self, message: str) -> bool:
        return (
            re.fullmatch(".+".join(re.escape(part) for part in self.msg.split("…")), message.replace("`", ""))
            is not None
        )


Key = tuple[str, str, str]
"""Face, endpoint and cause."""


def rows() -> list[Row]:
    """All rows of the table, in its order."""
    lines = PAGE.read_text().splitlines()
    start = lines.index(HEAD) + 2
    table = []
    for line in lines[start:]:
        if not line.startswith("| "):
            break
        table.append(Row(*(cell.strip().replace("`", "") for cell in line.strip("| ").split(" | "))))
    return table


@dataclass(frozen=True)
class Outcome:
    """What came of a provocation; the words are those of the table."""

    http: str
    code: str
    msg: str
    credits: str


@dataclass
class Stage:
    """Servers by their settings, and the world outside."""

    start: OpenServer
    world: StandIn
    _servers: dict[str, Server] = field(default_factory=dict)
    _workers: dict[str, SeparationHandler] = field(default_factory=dict)

    def server(self, **settings: Any) -> Server:
        """A server with these settings and else no limit of rate; alice has credits there."""
        name = repr(sorted(settings.items()))
        if name not in self._servers:
            server = self._servers[name] = self.start(**{"rate_limit": "0", **settings})
            server.service.ledger.grant("alice", GRANTED)
        return self._servers[name]

    def with_vendors(self, timeout_s: float = PATIENCE_S) -> Server:
        """A server whose operator has keys of both vendors, which may stay silent for so long."""
        return self.server(
            upstream_kie_key=KIE_KEY,
            upstream_kie_url=self.world.url,
            upstream_crun_key=CRUN_KEY,
            upstream_crun_url=self.world.url,
            upstream_timeout_s=timeout_s,
        )

    def closed(self) -> Server:
        """A server that takes no new tasks."""
        server = self.server(offline=True)
        server.maintain()
        return server

    def work(self, server: Server, task_id: str) -> None:
        """Has a task done by the handler that workers have."""
        with server.service.database.write() as session:
            session.get_one(tables.Job, task_id).priority = 1_000_000  # others may wait before it
        lease = server.service.queue.claim("a worker of the tests", 30.0)
        assert lease is not None and lease.task_id == task_id
        if server.url not in self._workers:
            self._workers[server.url] = SeparationHandler(server.service)
        self._workers[server.url].run(lease, StubContext())


Provocation = Callable[[Stage], Outcome | Iterable[Outcome]]
PROVOCATIONS: dict[Key, Provocation] = {}


def provokes(face: str, endpoint: str, cause: str) -> Callable[[Provocation], Provocation]:
    """Notes how a row of the table is provoked."""

    def note(provocation: Provocation) -> Provocation:
        assert (face, endpoint, cause) not in PROVOCATIONS
        PROVOCATIONS[face, endpoint, cause] = provocation
        return provocation

    return note


def outcome(server: Server, send: Callable[[], httpx.Response]) -> Outcome:
    """What a request comes to."""
    before = balance(server)
    reply = send()
    taken = "none" if balance(server) == before else "taken"
    body = reply.json()
    assert SECRET not in reply.text and "Traceback" not in reply.text
    http = f"{reply.status_code}, Retry-After" if int(reply.headers.get("retry-after", 0)) > 0 else reply.status_code
    if reply.headers["content-type"] == "application/problem+json":
        assert body.keys() - {"errors"} == {"type", "title", "status", "detail"}
        assert body["status"] == reply.status_code
        return Outcome(str(http), body["type"].removeprefix("urn:stemwright:problem:"), body["detail"], taken)
    words = "message" if "message" in body else "msg"
    assert body.keys() - {"success", "data"} == {"code", words} and body.get("data") is None
    assert body.get("success", False) is False
    return Outcome(str(http), str(body["code"]), body[words], taken)


def asking(
    server: Server, client: httpx.Client, *requests: tuple[str, str], content: bytes | None = None
) -> list[Outcome]:
    """What requests, by method and path, come to."""
    return [outcome(server, partial(client.request, method, path, content=content)) for method, path in requests]


def scoped(stage: Stage, scope: str, *requests: tuple[str, str]) -> list[Outcome]:
    """The same with a key of alice's that has one scope only."""
    server = stage.server()
    with server.another(f"{scope}-{uuid.uuid4()}", account="alice", scopes=(scope,)) as client:
        return asking(server, client, *requests)


def stranger(stage: Stage, headers: dict[str, str], *requests: tuple[str, str]) -> list[Outcome]:
    """The same with other headers than those of alice's key."""
    server = stage.server()
    with httpx.Client(base_url=server.url, headers=headers) as client:
        return asking(server, client, *requests)


def sending(content: bytes, *paths: str) -> Provocation:
    """Provokes with a body that is the same for all of these paths."""

    def send(stage: Stage) -> list[Outcome]:
        server = stage.server()
        return asking(server, server.client, *(("POST", path) for path in paths), content=content)

    return send


def dripping(path: str, first: bytes, headers: dict[str, str] | None = None) -> Provocation:
    """Provokes with a body of which only the beginning ever comes."""

    def send(stage: Stage) -> Outcome:
        server = stage.server()
        with (
            mock.patch.object(body, "BODY_TIMEOUT_S", SHORT_S),
            mock.patch.object(multipart, "IDLE_TIMEOUT_S", SHORT_S),
            mock.patch.object(base64_body, "IDLE_TIMEOUT_S", SHORT_S),
        ):
            return outcome(server, lambda: post_in_part(server, path, first, headers or {}))

    return send


def post_in_part(server: Server, path: str, first: bytes, headers: dict[str, str]) -> httpx.Response:
    """Sends the beginning of a body, and then waits for the reply."""
    url = httpx.URL(server.url)
    connection = http.client.HTTPConnection(url.host, url.port, timeout=PATIENCE_S)
    with closing(connection):
        connection.putrequest("POST", path)
        for name, value in {"Authorization": f"Bearer {server.key}", "Content-Length": "1000", **headers}.items():
            connection.putheader(name, value)
        connection.endheaders(first)
        reply = connection.getresponse()
        return httpx.Response(reply.status, headers=reply.getheaders(), content=reply.read())


def encoded(face: str, *paths: str) -> None:
    """Notes how bodies with a Content-Encoding are provoked that cannot be undone."""
    where = "every request with a body"
    for cause, coding in (
        ("Content-Encoding is neither gzip nor deflate", "br"),
        ("the body is not what Content-Encoding says", "gzip"),
    ):

        @provokes(face, where, cause)
        def send(stage: Stage, coding: str = coding) -> list[Outcome]:
            server = stage.server()
            headers = {"Content-Encoding": coding, "Content-Type": "multipart/form-data; boundary=b"}
            return [
                outcome(server, partial(server.client.post, path, content=b"{}", headers=headers)) for path in paths
            ]

    @provokes(face, where, "the encoded body is cut off")
    def cut_off(stage: Stage) -> list[Outcome]:
        server = stage.server()
        headers, begin = {"Content-Encoding": "gzip"}, gzip.compress(b"{}")[:-1]
        json_paths = [path for path in paths if "stream" not in path]
        return [
            outcome(server, partial(server.client.post, path, content=begin, headers=headers)) for path in json_paths
        ]


def of_every_endpoint(face: str, *requests: tuple[str, str]) -> None:
    """Notes how what is the same for all endpoints of a face is provoked."""

    @provokes(face, "every endpoint", "no key")
    def no_key(stage: Stage) -> list[Outcome]:
        return stranger(stage, {}, *requests)

    @provokes(face, "every endpoint", "wrong key")
    def wrong_key(stage: Stage) -> list[Outcome]:
        bearer = stranger(stage, {"Authorization": "Bearer sw_wrong"}, *requests)
        return [*bearer, *stranger(stage, {"x-api-key": "ak_wrong"}, requests[0])]

    @provokes(face, "every endpoint", "revoked key")
    def revoked_key(stage: Stage) -> list[Outcome]:
        keys, name = stage.server().service.keys, f"revoked-{uuid.uuid4()}"
        key = keys.create(name).key
        keys.revoke(name)
        return stranger(stage, {"Authorization": f"Bearer {key}"}, *requests)

    @provokes(face, "every endpoint", "a fault of the server's")
    def fault(stage: Stage) -> list[Outcome]:
        with faulty():
            return stranger(stage, {}, *requests)


@contextmanager
def faulty() -> Iterator[None]:
    """No key can be read for now: a fault that nobody foresaw, at the first step of every endpoint. It is logged."""
    with mock.patch.object(Keys, "authenticate", side_effect=RuntimeError(SECRET)), capture_logs() as logged:
        yield
    assert logged and all(SECRET in str(line["exc_info"]) for line in logged)


def end(server: Server, task_id: str, http: str, code: object, message: str) -> Outcome:
    """What the end of a task comes to, with the credits that the ledger says."""
    amounts = [
        entry.amount for entry in server.service.ledger.entries(server.caller.account_id) if entry.task_id == task_id
    ]
    assert sum(amounts) == 0 and len(amounts) in (0, 2)
    return Outcome(http, str(code), message, "given back" if amounts else "none")


def balance(server: Server) -> int:
    return sum(server.service.ledger.balance(account.id) or 0 for account in server.service.accounts.all())


def bad_song(server: Server) -> Track:
    """A file that is no song."""
    return server.service.tracks.add_stored(
        server.caller.account_id,
        server.store(f"no song {uuid.uuid4()}".encode()),
        title="no song",
        file_name="song.mp3",
    )


def ids(track: Track) -> tuple[str, str]:
    """How the vendors' clients name a song."""
    return track.task_id, dashed(track.id)
