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
from tests.models.downloads.client import BY_HAND, CONTENT, HALF, NAME, Client, is_whole, weights_at
from tests.models.downloads.weight_server import (
    Act,
    WeightServer,
    answers,
    breaks_off,
    chunked,
    hangs_up,
    stalls,
    without_length,
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
    with pytest.raises(
        ModelUnavailableError, match=r"429 Too Many Requests\) and asks to retry after 3\d{4} s: try again in 600 min"
    ):
        client.bring()
    assert client.slept_s == 0.0


@pytest.mark.parametrize(
    ("status", "headers", "told"),
    [
        (401, {}, r"gives it only after a login \(401 Unauthorized\): log in there with a browser"),
        (
            401,
            {"X-Error-Code": "GatedRepo"},
            r"ask for a login at .* and for consent .*\(401 .*: log in .* and consent",
        ),
        (401, {"X-Error-Code": "RepoNotFound"}, r"no longer has its repository.*: look at the model's page"),
        (403, {}, r"refuses it to this machine \(403 Forbidden\): try from another network"),
        (403, {"X-Error-Code": "GatedRepo"}, r"ask for a login .*\(403 Forbidden\): log in"),
        (404, {}, r"no longer has it under this address \(404 Not Found\): look at the model's page for its new place"),
        (
            404,
            {"X-Error-Code": "EntryNotFound"},
            r"no longer has it in its repository \(404 .*: look at the model's page",
        ),
        (404, {"X-Error-Code": "RevisionNotFound"}, r"no longer has this revision .*: look at the model's page"),
        (407, {}, r"the proxy of your network wants a user name .*: add them to the address in HTTPS_PROXY"),
        (410, {}, r"no longer has it under this address \(410 Gone\)"),
        (416, {}, r"answers 416 .*: try again later"),
        (451, {}, r"withholds it for legal reasons \(451 "),
        (505, {}, r"answers 505 .*: try again later"),
        (599, {}, r"answers 599"),
    ],
)
def test_a_refusal_ends_it_at_once(
    server: WeightServer, client: Client, status: int, headers: dict[str, str], told: str
) -> None:
    server.acts.append(answers(status, headers))
    where = r"from http://127\S+/release/net%20v1\.ckpt"
    with pytest.raises(
        ModelUnavailableError, match=rf"{where}, since .*{told}.*STEMWRIGHT_MODEL_MIRROR.*{BY_HAND}"
    ) as error:
        client.bring()
    assert len(server.requests) == 1
    assert client.slept_s == 0.0
    assert ("by hand from" in str(error.value)) == ("no longer has" not in str(error.value))


PAGE = b"<!DOCTYPE html><html><head><title>Drive -\n Quota exceeded</title></head><body>Sorry</body></html>"
HTML = {"Content-Type": "text/html; charset=utf-8"}


@pytest.mark.parametrize(
    ("act", "titled"),
    [
        (answers(200, HTML, PAGE), True),
        (answers(200, {}, b"\xef\xbb\xbf \n" + PAGE), True),
        (chunked(PAGE, HTML), True),
        (chunked(PAGE), True),
        (without_length(b"<HTML>no title</HTML>"), False),
        (chunked(b'{"error": "quota"}', {"Content-Type": "application/json"}), False),
        (answers(200, {**HTML, "Content-Encoding": "gzip"}, b"\x1f\x8b..."), False),
        (answers(200, HTML, PAGE.ljust(len(CONTENT))), True),
    ],
    ids=["typed", "untyped", "chunked and typed", "chunked", "no length", "json", "compressed", "of the right length"],
)
@pytest.mark.parametrize("had_bytes", [0, HALF])
def test_a_web_page_is_never_taken_for_the_file(
    server: WeightServer, client: Client, act: Act, titled: bool, had_bytes: int
) -> None:
    if had_bytes:
        client.leave(CONTENT[:had_bytes])
    server.acts.append(act)
    page = "a web page titled 'Drive - Quota exceeded'" if titled else "a web page"
    told = rf"127\.0\.0\.1 answers with {page} in place of the file: open it in a browser, .*{BY_HAND}"
    with pytest.raises(ModelUnavailableError, match=told):
        client.bring()
    assert (len(server.requests), client.slept_s) == (1, 0.0)
    assert client.file.part_in(client.folder).stat().st_size == had_bytes


def test_a_server_that_calls_weights_a_page_is_believed_the_bytes(server: WeightServer, client: Client) -> None:
    server.headers |= HTML
    assert is_whole(client.bring())


def test_a_host_to_which_another_one_redirects_is_told_with_it(server: WeightServer, client: Client) -> None:
    there = server.url.replace("127.0.0.1", "localhost")
    server.acts.extend([answers(302, {"Location": f"{there}/cdn"}), answers(403)])
    with pytest.raises(ModelUnavailableError, match=r"localhost, to which 127\.0\.0\.1 redirects, refuses it"):
        client.bring()


def test_a_host_that_cannot_be_reached_after_a_redirect_is_told_with_it(server: WeightServer, client: Client) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        server.acts.append(answers(302, {"Location": f"http://localhost:{nobody.getsockname()[1]}/cdn"}))
        told = (
            r"localhost, to which 127\.0\.0\.1 redirects, could not be reached .*: let your firewall or proxy through"
        )
        with pytest.raises(ModelUnavailableError, match=told):
            client.bring(tries=1)


@pytest.mark.parametrize("act", [hangs_up, lambda handler: handler.send(b"no HTTP\r\n\r\n")])
def test_a_server_that_breaks_off_is_asked_again(server: WeightServer, client: Client, act: Act) -> None:
    server.acts.append(act)
    assert is_whole(client.bring())
    assert len(server.requests) == 2


def test_a_server_that_falls_silent_is_asked_for_the_rest(server: WeightServer, client: Client) -> None:
    server.acts.append(stalls(HALF))
    assert is_whole(client.bring(read_s=0.5, tries=1000))
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
        message = (
            rf"^net v1\.ckpt could not be downloaded from {url}, since .* could not be reached \(.*refused\) after 3"
        )
        with pytest.raises(ModelUnavailableError, match=message) as error:
            download(weights_at(url), folder, retry_policy=retry_policy)
    assert str(error.value).endswith("under the name net v1.ckpt.")
