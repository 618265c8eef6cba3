"""Sources, vendors and clients that take for ever: all others are served meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import select
import socket

import httpx
import pytest

from stemwright.api import body, http_protocol
from stemwright.api.kie import uploads
from tests.api.conftest import OpenServer, Server
from tests.api.raw_requests import everything
from tests.stand_in import KIE_KEY, StandIn
from tests.waiting import PATIENCE_S


def test_many_sources_that_drip_keep_nobody_else_waiting(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    with StandIn() as source:
        monkeypatch.setattr(uploads, "FETCH_TIMEOUT_S", PATIENCE_S)
        server = open_server(fetch_timeout_s=PATIENCE_S)
        asked = {"fileUrl": f"{source.url}/faults/drip", "uploadPath": "audio"}
        assert asyncio.run(codes_of_slow_ones(server, source, "/api/file-url-upload", asked)) == {400}


def test_a_silent_vendor_keeps_nobody_else_waiting(open_server: OpenServer) -> None:
    with StandIn() as vendor:
        vendor.break_with("silent")
        server = open_server(
            upstream_kie_url=vendor.url, upstream_kie_key=KIE_KEY, upstream_timeout_s=PATIENCE_S, rate_limit="0"
        )
        asked = {"taskId": "a" * 32, "audioId": "b" * 32}
        assert asyncio.run(codes_of_slow_ones(server, vendor, "/api/v1/vocal-removal/generate", asked)) == {451}


async def codes_of_slow_ones(server: Server, world: StandIn, path: str, asked: dict[str, str]) -> set[int]:
    """Sends 60 requests that wait for the world; while they do, polls are answered. Gives the codes of the slow ones."""
    limits, key = httpx.Limits(max_connections=None), {"Authorization": f"Bearer {server.key}"}
    async with httpx.AsyncClient(base_url=server.url, headers=key, limits=limits, timeout=PATIENCE_S) as client:
        slow = [asyncio.create_task(client.post(path, json=asked)) for _ in range(60)]
        await asyncio.to_thread(world.wait_for_any, 8)
        for _ in range(5):
            assert (await client.get("/api/v1/chat/credit")).json()["code"] == 200
        assert not any(one.done() for one in slow)
        world.closing.set()  # nobody waits for it any longer
        return {(await one).json()["code"] for one in slow}


def test_clients_that_never_come_to_the_point_keep_nobody_else_waiting(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT_S", PATIENCE_S)
    monkeypatch.setattr(body, "BODY_TIMEOUT_S", PATIENCE_S)
    server = open_server()
    with contextlib.ExitStack() as stack:
        slow = begun(server, stack, 200)
        for _ in range(5):
            for number, connection in enumerate(slow):
                if number % 4:
                    connection.sendall(b" ")
            assert server.client.get("/v1/credits").status_code == 200
        assert not select.select(slow, [], [], 0)[0], "they all have time yet"


def test_clients_that_never_come_to_the_point_are_cut_off(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT_S", PATIENCE_S)
    monkeypatch.setattr(body, "BODY_TIMEOUT_S", 0.5)
    server = open_server()
    with contextlib.ExitStack() as stack:
        order = begun(server, stack, 4)[-1]
        monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT_S", 0.5)
        reply = everything(order)
    assert reply.startswith(b"HTTP/1.1 400 ") and b"did not arrive within 0.5 seconds" in reply
    with contextlib.ExitStack() as stack:
        assert [everything(connection) for connection in begun(server, stack, 3)] == [b"", b"", b""]
    assert server.client.get("/v1/separations").json()["separations"] == []


def begun(server: Server, stack: contextlib.ExitStack, count: int) -> list[socket.socket]:
    """Connections with beginnings of requests: nothing, half a line, half a head, half a body."""
    order = (
        b"POST /v1/separations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
        + server.key.encode()
        + b"\r\nContent-Length: 999\r\n\r\n{"
    )
    beginnings = [b"", b"GET /livez HT", b"GET /livez HTTP/1.1\r\nHost: x\r\nX-A: ", order]
    port = server.service.settings.port
    slow = [
        stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_S)) for _ in range(count)
    ]
    for number, connection in enumerate(slow):
        connection.sendall(beginnings[number % 4])
    return slow


def test_a_client_that_waits_between_requests_is_served(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    timers: list[asyncio.TimerHandle] = []
    start_timer = http_protocol.StrictHttpProtocol._start_head_timer

    def start_noted_timer(self: http_protocol.StrictHttpProtocol) -> None:
        start_timer(self)
        assert self._timer is not None
        timers.append(self._timer)

    monkeypatch.setattr(http_protocol.StrictHttpProtocol, "_start_head_timer", start_noted_timer)
    monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT_S", PATIENCE_S)
    server = open_server()
    ask = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.service.settings.port), timeout=PATIENCE_S) as connection:
        for limit_s in (PATIENCE_S, PATIENCE_S, 0.2):
            monkeypatch.setattr(http_protocol, "HEAD_TIMEOUT_S", limit_s)
            connection.sendall(ask + ask)  # the second one is there before the first is answered
            received = b""
            while received.count(b"alive") < 2:
                more = connection.recv(10_000)
                assert more, "it was cut off"
                received += more
        assert everything(connection) == b""  # after the last reply it waited for a fifth of a second
    assert len(timers) == 7 and all(timer.cancelled() for timer in timers[:-1])
