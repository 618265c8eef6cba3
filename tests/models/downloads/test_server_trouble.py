"""Servers that are busy, gone or broken: asked again, and told in one sentence."""

from __future__ import annotations

import hashlib
import random
import socket
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from stemwright.errors import ModelUnavailableError
from stemwright.models.weight_download import RetryPolicy, download
from stemwright.models.weight_file import WeightFile
from tests.models.downloads.client import BY_HAND, HALF, NAME, Client, is_whole, weights_at
from tests.models.downloads.weight_server import (
    Act,
    WeightServer,
    answers,
    breaks_off,
    hangs_up,
    stalls,
)


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_server_in_trouble_is_asked_again(server: WeightServer, client: Client, status: int) -> None:
    server.acts.extend([answers(status)] * 2)
    assert is_whole(client.bring())
    assert len(server.requests) == 3
    assert 1.5 <= client.slept_s <= 3.0  # 0.5 to 1 s, then 1 to 2 s
    assert client.stages == ["downloading", "waiting", "downloading", "waiting", "downloading", "verifying"]


def test_trouble_that_stays_is_told(server: WeightServer, client: Client) -> None:
    server.acts.extend([answers(503)] * 10)
    with pytest.raises(ModelUnavailableError, match=f"answers 503 Service Unavailable after 3 tries.*{BY_HAND}"):
        client.bring(tries=3)
    assert len(server.requests) == 3


def test_a_server_is_left_alone_for_as_long_as_it_says(server: WeightServer, client: Client) -> None:
    server.acts.append(answers(429, {"Retry-After": "7"}))
    assert is_whole(client.bring())
    assert client.slept_s == pytest.approx(7.0)


def test_a_moment_may_be_named_too(server: WeightServer, client: Client) -> None:
    past = format_datetime(datetime.now(UTC) - timedelta(hours=1), usegmt=True)
    server.acts.append(answers(503, {"Retry-After": past}))
    assert is_whole(client.bring())
    assert client.slept_s == 0.0


@pytest.mark.parametrize("header", ["soon", "-5", "Fri, 01 May 2026"])
def test_nonsense_for_a_time_is_no_time(server: WeightServer, client: Client, header: str) -> None:
    server.acts.append(answers(429, {"Retry-After": header}))
    assert is_whole(client.bring())
    assert 0.5 <= client.slept_s <= 1.0


@pytest.mark.parametrize("in_words", [True, False])
def test_nobody_waits_for_hours(server: WeightServer, client: Client, in_words: bool) -> None:
    late = format_datetime(datetime.now(UTC) + timedelta(hours=10), usegmt=True)
    server.acts.append(answers(429, {"Retry-After": late if in_words else "36000"}))
    with pytest.raises(ModelUnavailableError, match=r"429 Too Many Requests and asks to retry after 3\d{4} s"):
        client.bring()
    assert client.slept_s == 0.0


@pytest.mark.parametrize("status", [401, 403, 404, 410, 416, 505])
def test_a_refusal_ends_it_at_once(server: WeightServer, client: Client, status: int) -> None:
    server.acts.append(answers(status))
    told = rf"from http://127\S+/release/net%20v1\.ckpt, since .* answers {status} .*STEMWRIGHT_MODEL_MIRROR.*{BY_HAND}"
    with pytest.raises(ModelUnavailableError, match=told):
        client.bring()
    assert len(server.requests) == 1
    assert client.slept_s == 0.0


@pytest.mark.parametrize("act", [hangs_up, lambda handler: handler.send(b"no HTTP\r\n\r\n")])
def test_a_server_that_breaks_off_is_asked_again(server: WeightServer, client: Client, act: Act) -> None:
    server.acts.append(act)
    assert is_whole(client.bring())
    assert len(server.requests) == 2


def test_a_server_that_falls_silent_is_asked_for_the_rest(server: WeightServer, client: Client) -> None:
    server.acts.append(stalls(HALF))
    assert is_whole(client.bring(read_s=1.0))
    assert server.ranges[0] is None
    assert server.ranges[-1] is not None


def test_silence_is_told(server: WeightServer, client: Client) -> None:
    server.acts.append(stalls(0))
    with pytest.raises(ModelUnavailableError, match=r"127\.0\.0\.1 sent nothing for 0\.2 s after 1 tries"):
        client.bring(tries=1, read_s=0.2)


def test_tries_that_get_on_do_not_count(folder: Path) -> None:
    content = random.Random(6).randbytes(5 << 20)
    with WeightServer(content) as server:
        server.acts.extend([breaks_off(1 << 20)] * 4)
        file = WeightFile(NAME, server.url, len(content), hashlib.sha256(content).hexdigest())
        retry_policy = RetryPolicy(tries=2, sleep=lambda seconds: None)
        assert download(file, folder, retry_policy=retry_policy).read_bytes() == content
        assert len(server.requests) == 5


def test_no_network_is_told_in_one_sentence(folder: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{nobody.getsockname()[1]}/net.ckpt"
        retry_policy = RetryPolicy(tries=3, sleep=lambda seconds: None)
        told = rf"^net v1\.ckpt could not be downloaded from {url}, since .* could not be reached \(.*refused\) after 3"
        with pytest.raises(ModelUnavailableError, match=told) as error:
            download(weights_at(url), folder, retry_policy=retry_policy)
    assert str(error.value).endswith("under the name net v1.ckpt.")
