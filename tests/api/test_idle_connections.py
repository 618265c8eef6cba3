"""Connections that say nothing: others are served meanwhile, and they are ended before long."""

from __future__ import annotations

import contextlib
import resource
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psutil
import pytest

from stemwright.api.http_protocol import HEAD_TIMEOUT_S
from tests.serving import Serving
from tests.waiting import wait_until

IDLE = 1000


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with Serving(tmp_path_factory.mktemp("idle") / "data", "--workers", "0") as serving:
        serving.read_key()
        yield serving


@pytest.mark.long
def test_a_thousand_idle_connections_keep_nobody_waiting(serving: Serving) -> None:
    """Half of them have said nothing, half are in the middle of a head."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    process = psutil.Process(serving.process.pid)
    before, begun = process.num_fds(), time.monotonic()
    parts = urlsplit(serving.url)
    assert parts.hostname is not None and parts.port is not None
    with contextlib.ExitStack() as stack:
        for number in range(IDLE):
            idle = stack.enter_context(socket.create_connection((parts.hostname, parts.port), timeout=240))
            if number % 2:
                idle.sendall(b"GET /v1/credits HTTP/1.1\r\nHost: ")
        with serving.client() as client:
            assert client.get("/v1/credits").status_code == 200
            if time.monotonic() - begun < HEAD_TIMEOUT_S / 2:  # a slow machine has ended the first ones by then
                assert process.num_fds() >= before + IDLE * 9 // 10, "the connections are there"
            assert client.post("/v1/tracks", files={"file": b"song"}).status_code == 201
    wait_until(lambda: process.num_fds() <= before + 20, "connections that were closed are given back")


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux sets the limits of a process that runs")
def test_no_file_descriptors_left_is_over_once_idle_connections_are_ended(tmp_path: Path) -> None:
    with Serving(tmp_path / "data", "--workers", "0") as serving:
        serving.read_key()
        process = psutil.Process(serving.process.pid)
        with serving.client() as client:
            assert client.get("/v1/credits").status_code == 200
        most = process.num_fds() + 40
        process.rlimit(psutil.RLIMIT_NOFILE, (most, most))
        parts = urlsplit(serving.url)
        with contextlib.ExitStack() as stack:
            for _ in range(100):
                stack.enter_context(socket.create_connection((parts.hostname or "", parts.port or 0), timeout=240))
            deadline = time.monotonic() + 480
            while True:
                try:
                    with serving.client() as client:
                        assert client.get("/v1/credits").status_code == 200
                        break
                except httpx.TransportError:
                    assert time.monotonic() < deadline, "it never answered again"
            assert process.is_running()
        assert serving.stop() == 0
