"""A file with several URLs: each is tried until it fails for good, and what came from one is gone on with at the next."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace

import pytest

from stemwright.errors import ModelUnavailableError
from tests.models.downloads.client import BY_HAND, CONTENT, HALF, Client, is_whole, weights_at
from tests.models.downloads.weight_server import Act, WeightServer, answers, breaks_off, hangs_up, without_length

WRONG = bytes(len(CONTENT))


@pytest.fixture
def second() -> Iterator[WeightServer]:
    with WeightServer(CONTENT) as server:
        server.headers = {"ETag": '"of the second"'}
        yield server


@pytest.fixture
def client(client: Client, server: WeightServer, second: WeightServer) -> Client:
    client.file = weights_at(f"{server.url}/first.ckpt", f"{second.url}/second.ckpt")
    return client


def test_the_first_is_enough_where_it_has_the_file(server: WeightServer, second: WeightServer, client: Client) -> None:
    assert is_whole(client.bring())
    assert (server.targets, second.targets) == (["/first.ckpt"], [])


@pytest.mark.parametrize(
    "act",
    [answers(404), answers(401), answers(200, {}, b"other"), without_length(b"<html>quota</html>"), hangs_up],
    ids=["gone", "login", "another size", "page", "out of order"],
)
def test_the_next_is_asked_where_one_has_it_not(
    server: WeightServer, second: WeightServer, client: Client, act: Act
) -> None:
    server.acts.extend([act] * 5)
    assert is_whole(client.bring())
    assert len(server.requests) == (5 if act is hangs_up else 1)
    assert second.targets == ["/second.ckpt"]


def test_what_the_first_sent_is_gone_on_with_at_the_second(
    server: WeightServer, second: WeightServer, client: Client
) -> None:
    server.acts.extend([breaks_off(HALF), answers(404)])
    assert is_whole(client.bring())
    assert second.ranges == [f"bytes={HALF}-"]
    assert "if-range" not in second.requests[0]


def test_halves_that_do_not_match_are_fetched_anew_from_the_second(
    server: WeightServer, second: WeightServer, client: Client
) -> None:
    server.content = WRONG
    server.acts.extend([breaks_off(HALF), answers(404)])
    assert is_whole(client.bring())
    assert second.ranges == [f"bytes={HALF}-", None]


def test_wrong_bytes_of_the_first_are_fetched_once_and_then_those_of_the_second(
    server: WeightServer, second: WeightServer, client: Client
) -> None:
    server.content = WRONG
    assert is_whole(client.bring())
    assert (server.ranges, second.ranges) == ([None], [None])


def test_wrong_bytes_everywhere_are_fetched_once_from_each_and_by_no_later_run(
    server: WeightServer, second: WeightServer, client: Client
) -> None:
    server.content = second.content = WRONG
    for _ in range(2):
        client.progress.clear()
        with pytest.raises(ModelUnavailableError, match=r"any of its 2 addresses: .*is 886715.*; .* is 886715"):
            client.bring()
    assert hashlib.sha256(WRONG).hexdigest().startswith("886715")
    assert max(progress.done_bytes for progress in client.progress) == 0
    assert client.left == set()


def test_all_that_were_tried_are_told_with_the_remedy_that_says_most(
    server: WeightServer, second: WeightServer, client: Client
) -> None:
    server.acts.append(answers(505))
    second.acts.append(answers(404))
    first, other = client.file.url, client.file.mirrors[0]
    told = (
        rf"could not be downloaded from any of its 2 addresses: from {first}, since 127\S+ answers 505 .*; from {other}, "
        rf"since 127\S+ no longer has it .*: look at the model's page .*put the file by hand from {first} into "
    )
    with pytest.raises(ModelUnavailableError, match=told):
        client.bring()


def test_a_mirror_of_the_user_is_the_only_one(server: WeightServer, second: WeightServer, client: Client) -> None:
    server.acts.append(answers(404))
    with pytest.raises(ModelUnavailableError, match=rf"downloaded from {server.url}/mine/net%20v1\.ckpt, .*{BY_HAND}"):
        client.bring(mirror=f"{server.url}/mine")
    assert second.requests == []


def test_a_file_with_mirrors_alone_is_downloaded(second: WeightServer, client: Client) -> None:
    client.file = replace(client.file, url="")
    assert is_whole(client.bring())
    assert second.targets == ["/second.ckpt"]
