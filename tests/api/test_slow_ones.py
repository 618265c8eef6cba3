"""Sources, vendors and clients that take for ever: all others are served meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import time

import httpx
import pytest

from stemwright.api import body, patience
from tests.api.conftest import OpenServer, Server
from tests.api.raw_requests import everything
from tests.stand_in import KIE_KEY, StandIn


def test_many_sources_that_drip_keep_nobody_else_waiting(open_server: OpenServer) -> None:
    with StandIn() as source:
        server = open_server(fetch_timeout_s=2.0)
        asked = {"fileUrl": f"{source.url}/faults/drip", "uploadPath": "audio"}
        assert asyncio.run(codes_of_slow_ones(server, "/api/file-url-upload", asked)) == {400}


def test_a_silent_vendor_keeps_nobody_else_waiting(open_server: OpenServer) -> None:
    with StandIn() as vendor:
        vendor.break_with("silent")
        server = open_server(
            upstream_kie_url=vendor.url, upstream_kie_key=KIE_KEY, upstream_timeout_s=2.0, rate_limit="0"
        )
        asked = {"taskId": "a" * 32, "audioId": "b" * 32}
        assert asyncio.run(codes_of_slow_ones(server, "/api/v1/vocal-removal/generate", asked)) == {408}


async def codes_of_slow_ones(server: Server, path: str, asked: dict[str, str]) -> set[int]:
    """Sends 60 requests that wait for others; while they do, polls are answered. Gives the codes of the slow ones."""
    limits, key = httpx.Limits(max_connections=None), {"Authorization": f"Bearer {server.key}"}
    async with httpx.AsyncClient(base_url=server.url, headers=key, limits=limits, timeout=20) as client:
        slow = [asyncio.create_task(client.post(path, json=asked)) for _ in range(60)]
        await asyncio.sleep(0.4)
        for _ in range(5):
            started = time.monotonic()
            assert (await client.get("/api/v1/chat/credit")).json()["code"] == 200
            assert time.monotonic() - started < 1
        assert not any(one.done() for one in slow)
        return {(await one).json()["code"] for one in slow}


def test_clients_that_never_come_to_the_point_are_cut_off(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "HEAD_S", 5.0)
    monkeypatch.setattr(body, "ARRIVAL_S", 5.0)
    server = open_server()
    key, port = server.key.encode(), server.service.settings.port
    order = (
        b"POST /v1/separations HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer "
        + key
        + b"\r\nContent-Length: 999\r\n\r\n{"
    )
    beginnings = [b"", b"GET /livez HT", b"GET /livez HTTP/1.1\r\nHost: x\r\nX-A: ", order]
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(socket.create_connection(("127.0.0.1", port), timeout=10)) for _ in range(200)]
        for number, connection in enumerate(slow):
            connection.sendall(beginnings[number % 4])
        for _ in range(5):
            for number, connection in enumerate(slow):
                if number % 4:
                    connection.sendall(b" ")
            started = time.monotonic()
            assert server.client.get("/v1/credits").status_code == 200
            assert time.monotonic() - started < 4, "it did not wait for the slow ones, who have 5 s"
            time.sleep(0.05)
        ends = [everything(connection) for connection in slow]
    for number, end in enumerate(ends):
        if number % 4 < 3:
            assert end == b"", end
        else:
            assert end.startswith(b"HTTP/1.1 400 ") and b"did not come within 5 seconds" in end
    assert server.client.get("/v1/separations").json()["separations"] == []


def test_a_client_that_waits_between_requests_is_served(
    open_server: OpenServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "HEAD_S", 0.3)
    server = open_server()
    ask = b"GET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.service.settings.port), timeout=10) as connection:
        for _ in range(3):
            connection.sendall(ask + ask)  # the second one is there before the first is answered
            received = b""
            while received.count(b"alive") < 2:
                received += connection.recv(10_000)
            time.sleep(0.2)
        assert everything(connection) == b""
