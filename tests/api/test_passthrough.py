"""Requests passed on to a vendor: what goes through, what does not, and what happens when the vendor misbehaves."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from stemwright.api.passthrough import Passthrough
from stemwright.service.errors import ServiceError
from stemwright.service.upstream import VendorName
from stemwright.settings import read_settings
from tests.stand_in import CRUN_KEY, KIE_KEY, Fault, Song, StandIn, tone
from tests.waiting import PATIENCE_S, wait_until

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
SHORT_S = 0.3
"""A limit for replies that never come."""

CLIENT = {"Authorization": "Bearer sw_client_key", "x-api-key": "sw_client_key", "Cookie": "session=client"}


@pytest.fixture
def world() -> Iterator[StandIn]:
    with StandIn() as stand_in:
        yield stand_in


def opened(world: StandIn, name: VendorName = "kie", *, base: str = "", timeout_s: float = PATIENCE_S) -> Passthrough:
    settings = read_settings(
        upstream_kie_key=KIE_KEY,
        upstream_crun_key=CRUN_KEY,
        upstream_kie_url=world.url + base,
        upstream_crun_url=world.url + base,
        upstream_timeout_s=timeout_s,
    )
    passthrough = Passthrough.open(settings, name)
    assert passthrough is not None
    return passthrough


@contextmanager
def face(
    world: StandIn, name: VendorName = "kie", *, reads_bodies: bool = False, base: str = ""
) -> Iterator[httpx.Client]:
    """A server that passes everything on, as a face does with what it does not know; gives a client of it."""
    with serving(opened(world, name, base=base), reads_bodies=reads_bodies) as client:
        yield client


@contextmanager
def serving(passthrough: Passthrough, *, reads_bodies: bool = False) -> Iterator[httpx.Client]:
    """The same for a passthrough that is open."""

    async def forward(request: Request) -> Response:
        try:
            return await passthrough.forward(request, await request.body() if reads_bodies else None)
        except ServiceError as error:
            return JSONResponse({"code": error.code, "msg": str(error)})

    app = Starlette(routes=[Route("/{path:path}", forward, methods=METHODS)])
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", ws="none", lifespan="off"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]})
        thread.start()
        try:
            url = f"http://127.0.0.1:{listener.getsockname()[1]}"
            with httpx.Client(base_url=url, headers=CLIENT, timeout=PATIENCE_S, trust_env=False) as client:
                yield client
        finally:
            server.should_exit = True
            thread.join()


def seen(world: StandIn) -> str:
    """All that the vendor was told, in one text."""
    return " ".join(f"{one.headers} {one.query} {one.body!r}" for one in world.received)


@pytest.mark.parametrize("reads_bodies", [False, True])
def test_music_is_made_at_kie_with_the_operators_key(world: StandIn, reads_bodies: bool) -> None:
    order = {"prompt": "la", "callBackUrl": "https://client.example/hook"}
    with face(world, reads_bodies=reads_bodies) as client:
        made = client.post("/api/v1/generate", json=order).json()
        reply = client.get("/api/v1/generate/record-info", params={"taskId": made["data"]["taskId"]}).json()
        credits = client.get("/api/v1/chat/credit").json()
    assert made["code"] == 200 and reply["data"]["status"] == "SUCCESS" and credits["data"] == 5916.25
    first = world.received[0]
    assert first.json == order
    assert first.headers["authorization"] == f"Bearer {KIE_KEY}"
    assert first.headers["content-type"] == "application/json"
    assert first.headers["host"] == f"127.0.0.1:{world.port}"
    assert world.received[1].query == {"taskId": made["data"]["taskId"]}
    assert "x-api-key" not in first.headers and "cookie" not in first.headers
    assert "sw_client_key" not in seen(world) and CRUN_KEY not in seen(world)


def test_music_is_made_at_crun_with_the_operators_key(world: StandIn) -> None:
    with face(world, "crun") as client:
        made = client.post("/api/v1/client/job/CreateTask", json={"model": "suno/music-generate", "input": {}}).json()
        reply = client.get("/api/v1/client/job/TaskInfo", params={"task_id": made["data"]["task_id"]})
        unknown = client.get("/api/v1/client/job/TaskInfo", params={"task_id": "none"})
    assert reply.json()["data"]["status"] == "success"
    assert unknown.status_code == 404 and unknown.json()["message"] == "task_id not found"
    assert world.received[0].headers["x-api-key"] == CRUN_KEY
    assert "authorization" not in world.received[0].headers
    assert "sw_client_key" not in seen(world) and KIE_KEY not in seen(world)


def test_headers_of_one_hop_and_of_the_client_stay_behind(world: StandIn) -> None:
    kept = {"X-Custom": "yes", "Accept-Language": "de", "User-Agent": "client/1", "Idempotency-Key": "7"}
    dropped = {
        "Connection": "keep-alive, X-Hop",
        "X-Hop": "1",
        "TE": "trailers",
        "Proxy-Authorization": "Basic eA==",
        "Forwarded": "for=10.1.2.3",
        "X-Forwarded-For": "10.1.2.3",
        "X-Real-IP": "10.1.2.3",
        "CF-Connecting-IP": "10.1.2.3",
        "Via": "1.1 proxy",
    }
    with face(world) as client:
        client.get("/api/v1/chat/credit", headers=kept | dropped)
    (request,) = world.received
    assert {name: request.headers.get(name.lower()) for name in kept} == kept
    assert "10.1.2.3" not in seen(world)
    assert not {name.lower() for name in dropped} - {"connection"} & request.headers.keys()
    assert request.headers["accept-encoding"] == "identity"


def test_the_vendors_cookies_and_the_operators_key_stay_behind(world: StandIn) -> None:
    world.break_with("leaky")
    with face(world) as client:
        reply = client.get("/api/v1/anything")
    assert reply.json()["msg"] == "your key is Bearer " + "*" * len(KIE_KEY) + ", indeed"
    assert KIE_KEY not in str(reply.headers)
    assert reply.headers["x-your-key"] == "Bearer " + "*" * len(KIE_KEY)
    assert "set-cookie" not in reply.headers and "content-encoding" not in reply.headers
    assert len(reply.headers.get_list("server")) == 1 and len(reply.headers.get_list("date")) == 1


def test_a_key_cut_in_pieces_is_blotted_out_too(world: StandIn) -> None:
    with face(world) as client:
        reply = client.post(
            "/api/v1/echo", content=b"x" * 65530 + b"kie-key-of-the-operator kie-key-of" + b"y" * 10**5
        ).json()
    body = reply["data"]["body"]
    assert KIE_KEY not in json.dumps(reply)
    assert body[65530:].startswith("*" * len(KIE_KEY) + " kie-key-of" + "y" * 10)
    assert len(body) == 65530 + len(KIE_KEY) + 11 + 10**5


@pytest.mark.parametrize("method", METHODS)
def test_every_method_goes_through(world: StandIn, method: str) -> None:
    with face(world) as client:
        reply = client.request(
            method, "/api/v1/echo?a=b&a=%2F%3D&c", content=b"body" if method in ("POST", "PUT", "PATCH") else None
        )
    assert reply.status_code == 200
    assert world.received[0].method == method
    assert world.received[0].body == (b"body" if method in ("POST", "PUT", "PATCH") else b"")
    assert reply.content == b"" or method != "HEAD"


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/a%2Fb%20c",
        "//evil.example/x",
        "/api/v1/x?u=http://evil.example/@y",
        "/@evil.example",
    ],
)
def test_paths_arrive_as_they_are_and_only_at_the_vendor(world: StandIn, path: str) -> None:
    with face(world, base="/base") as client:
        target = httpx.URL(client.base_url).copy_with(raw_path=path.encode())
        reply = client.get(target)
    assert reply.status_code == 200
    assert world.targets == ["/base" + path]


@pytest.mark.parametrize("path", ["/../x", "/api/v1/../../../x", "/%2e%2e/x", "/.%2E/x", "/api/./x", "/api/.."])
def test_paths_that_climb_are_none(world: StandIn, path: str) -> None:
    with (
        face(world, base="/base") as client,
        socket.create_connection(("127.0.0.1", client.base_url.port or 0)) as line,
    ):
        line.sendall(f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        reply = b"".join(iter(lambda: line.recv(65536), b""))
    assert b'"code":404' in reply
    assert not world.received


def test_large_bodies_stream_both_ways(world: StandIn) -> None:
    piece = b"a" * 65536

    async def upload(client: httpx.AsyncClient) -> httpx.Response:
        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(64):
                yield piece

        return await client.post("/api/v1/echo", content=pieces())

    async def run(url: httpx.URL) -> httpx.Response:
        async with httpx.AsyncClient(base_url=url, timeout=PATIENCE_S, trust_env=False) as client:
            return await upload(client)

    with face(world) as client:
        reply = asyncio.run(run(client.base_url))
    assert len(reply.json()["data"]["body"]) == 64 * 65536
    assert world.received[0].headers["transfer-encoding"] == "chunked"


def test_pieces_come_as_the_vendor_sends_them(world: StandIn) -> None:
    world.break_with("drip")
    with face(world) as client, client.stream("GET", "/api/v1/x") as reply:
        assert next(reply.iter_bytes()) == b" "


def test_audio_and_redirects_go_through_as_they_are(world: StandIn) -> None:
    song = world.add_task(Song(tone())).songs[0]
    with face(world) as client:
        audio = client.get(f"/audio/{song.id}.wav")
        moved = client.get("/faults/redirect", params={"to": "/elsewhere"})
        packed = client.get("/faults/gzip")
    assert audio.content == song.audio and audio.headers["content-type"] == "audio/wav"
    assert audio.headers["content-length"] == str(len(song.audio))
    assert moved.status_code == 302 and moved.headers["location"] == "/elsewhere"
    assert packed.content == bytes(10**7) and "content-encoding" not in packed.headers


@pytest.mark.parametrize("fault", ["silent", "headerless", "slow"])
def test_a_silent_vendor_is_told_in_time(world: StandIn, fault: Fault) -> None:
    world.break_with(fault)
    passthrough = opened(world, timeout_s=SHORT_S)
    with serving(passthrough) as client:
        reply = client.get("/api/v1/x").json()
        assert reply == {"code": 408, "msg": "kie did not answer in time. Please try again later."}
        world.break_with(None)
        passthrough._timeout_s = PATIENCE_S
        assert client.get("/api/v1/chat/credit").json()["data"] == 5916.25


def test_a_vendor_that_is_gone_is_told(world: StandIn) -> None:
    with StandIn() as gone:
        pass
    with face(gone) as client:
        reply = client.post("/api/v1/generate", json={}).json()
    assert reply["code"] == 408 and "could not be reached" in reply["msg"]


def test_the_vendors_own_failures_go_through(world: StandIn) -> None:
    world.break_with("failing")
    with face(world) as client:
        reply = client.get("/api/v1/x")
    assert reply.status_code == 500 and reply.json()["msg"] == "Server Error - it broke"


def test_an_answer_that_breaks_off_is_seen_to(world: StandIn) -> None:
    world.break_with("cut")
    with face(world) as client:
        with pytest.raises(httpx.RemoteProtocolError):
            client.get("/api/v1/x")
        world.break_with(None)
        assert client.get("/api/v1/chat/credit").status_code == 200


def test_a_client_that_goes_away_frees_the_connection(world: StandIn) -> None:
    with face(world) as client:
        with client.stream("GET", "/faults/endless") as reply:
            assert next(reply.iter_bytes())
        assert client.get("/api/v1/chat/credit").status_code == 200
        wait_until(lambda: not world.busy("/faults/endless"))


def test_each_piece_of_an_upload_restarts_the_time_limit(world: StandIn, monkeypatch: pytest.MonkeyPatch) -> None:
    moved = threading.Semaphore(0)
    reschedule = asyncio.Timeout.reschedule

    def noted(self: asyncio.Timeout, when: float | None) -> None:
        before = self.when()
        reschedule(self, when)
        if before is not None and when is not None and when > before:
            moved.release()

    def pieces() -> Iterator[bytes]:
        for _ in range(4):
            yield b"piece"
            assert moved.acquire(timeout=PATIENCE_S), "the limit was not moved"

    monkeypatch.setattr(asyncio.Timeout, "reschedule", noted)
    with face(world) as client:
        reply: Any = client.post("/api/v1/echo", content=pieces()).json()
    assert reply["data"]["body"] == "piece" * 4


def test_without_a_key_there_is_no_way() -> None:
    assert Passthrough.open(read_settings(), "kie") is None
    assert Passthrough.open(read_settings(upstream_kie_key=KIE_KEY), "crun") is None
    assert Passthrough.open(read_settings(upstream_kie_key=KIE_KEY, offline=True), "kie") is None
