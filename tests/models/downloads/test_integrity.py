"""Files of weights come whole, or not at all: what is there is kept, wrong bytes and lengths are refused."""

from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest

from stemwright.errors import ModelUnavailableError
from stemwright.models.weight_download import DownloadProgress
from tests.models.downloads.client import BY_HAND, CONTENT, DIGEST, HALF, NAME, Client, is_whole
from tests.models.downloads.weight_server import (
    WeightServer,
    answers,
    breaks_off,
    without_length,
)

WRONG = bytes(len(CONTENT))
WRONG_DIGEST = hashlib.sha256(WRONG).hexdigest()


def test_a_file_comes_whole_and_is_told_of(server: WeightServer, client: Client) -> None:
    path = client.bring()
    assert path == client.folder / NAME
    assert is_whole(path)
    assert client.left == {NAME}
    assert server.targets == ["/release/net%20v1.ckpt"]
    assert server.requests[0]["accept-encoding"] == "identity"
    assert server.requests[0]["user-agent"].startswith("Stemwright/")
    assert client.progress[0] == DownloadProgress(NAME, 0, len(CONTENT), "downloading")
    assert client.progress[-1] == DownloadProgress(NAME, len(CONTENT), len(CONTENT), "verifying")
    done = [progress.done_bytes for progress in client.progress]
    assert done == sorted(done)


def test_what_is_there_is_neither_fetched_nor_read_again(server: WeightServer, client: Client) -> None:
    client.bring()
    client.progress.clear()
    assert is_whole(client.bring())
    assert client.progress == []
    assert len(server.requests) == 1


def test_a_file_put_there_by_hand_is_verified_and_taken(server: WeightServer, client: Client) -> None:
    client.folder.mkdir()
    (client.folder / NAME).write_bytes(CONTENT)
    client.bring()
    assert client.stages == ["verifying"]
    assert server.requests == []


@pytest.mark.parametrize("damaged", [CONTENT[:-1], CONTENT[:-1] + b"x"])
def test_a_damaged_file_gives_way_to_a_whole_one(client: Client, damaged: bytes) -> None:
    client.folder.mkdir()
    (client.folder / NAME).write_bytes(damaged)
    assert is_whole(client.bring())


def test_wrong_bytes_are_deleted_and_told_with_both_digests(server: WeightServer, client: Client) -> None:
    server.content = WRONG
    told = f"its SHA-256 there is {WRONG_DIGEST} where the registry has {DIGEST}, so its author may have replaced it"
    with pytest.raises(ModelUnavailableError, match=rf"{told}: .*{BY_HAND}"):
        client.bring()
    assert len(server.requests) == 1
    assert client.left == set()


@pytest.mark.parametrize(
    ("reports", "origin"),
    [(1, "from one report alone, a page"), (4, "at least 4 public listings agree on it, one is a page")],
)
def test_wrong_bytes_may_be_accepted_knowing_where_the_digest_is_from(
    server: WeightServer, client: Client, reports: int, origin: str
) -> None:
    server.content = WRONG
    client.file = replace(client.file, digest_reports=reports, digest_source="a page")
    accept = rf"accept it with `stemwright models download net --accept-digest {WRONG_DIGEST}`"
    with pytest.raises(ModelUnavailableError, match=rf"the registry has {DIGEST} \({origin}\), .*: .*{accept}"):
        client.bring(model_name="net")


@pytest.mark.parametrize("version", [{"ETag": '"one"'}, {"Last-Modified": "Fri, 01 May 2026 07:00:00 GMT"}])
def test_wrong_bytes_are_not_fetched_again_by_the_next_run(
    server: WeightServer, client: Client, version: dict[str, str]
) -> None:
    server.headers, server.content = version, WRONG
    for _ in range(3):
        with pytest.raises(ModelUnavailableError, match=WRONG_DIGEST):
            client.bring()
    assert client.progress[-1].done_bytes == 0, "the last two saw the version and read nothing"
    server.content = CONTENT
    server.headers = {name: value.replace("1", "2").replace("one", "two") for name, value in version.items()}
    assert is_whole(client.bring())
    assert client.left == {NAME}


def test_a_server_that_names_no_version_is_asked_again(server: WeightServer, client: Client) -> None:
    server.content = WRONG
    server.headers.clear()
    with pytest.raises(ModelUnavailableError, match=WRONG_DIGEST):
        client.bring()
    server.content = CONTENT
    assert is_whole(client.bring())


def test_a_record_of_refusals_that_cannot_be_read_counts_for_nothing(server: WeightServer, client: Client) -> None:
    server.content = WRONG
    with pytest.raises(ModelUnavailableError):
        client.bring()
    client.file.refused_in(client.folder).write_text('{"expected": ')
    server.content = CONTENT
    assert is_whole(client.bring())


def test_wrong_bytes_of_one_version_are_not_fetched_twice(server: WeightServer, client: Client) -> None:
    server.content = WRONG
    server.acts.append(breaks_off(HALF))
    with pytest.raises(ModelUnavailableError, match=WRONG_DIGEST):
        client.bring()
    assert server.ranges == [None, f"bytes={HALF}-"]
    assert client.left == set()


def test_wrong_bytes_that_may_be_of_two_versions_are_fetched_anew_once(server: WeightServer, client: Client) -> None:
    server.content = WRONG
    server.headers.clear()
    server.acts.append(breaks_off(HALF))
    with pytest.raises(ModelUnavailableError, match=WRONG_DIGEST):
        client.bring()
    assert server.ranges == [None, f"bytes={HALF}-", None]
    assert client.left == set()


def test_a_digest_that_the_host_states_is_looked_at_before_the_first_byte(server: WeightServer, client: Client) -> None:
    stated = {"Location": "/cdn/net", "X-Linked-ETag": f'"{WRONG_DIGEST}"'}
    server.acts.append(answers(302, stated))
    with pytest.raises(ModelUnavailableError, match=WRONG_DIGEST):
        client.bring()
    assert client.progress[-1].done_bytes == 0
    server.acts.append(answers(302, {**stated, "X-Linked-ETag": f'"{DIGEST}"'}))
    assert is_whole(client.bring())


@pytest.mark.parametrize("length", [len(CONTENT) - 1, len(CONTENT) + 1, 20])
def test_a_server_that_says_another_length_has_another_file(server: WeightServer, client: Client, length: int) -> None:
    client.leave(CONTENT[:HALF])
    server.acts.append(answers(200, {"Content-Type": "application/octet-stream"}, bytes(length)))
    with pytest.raises(ModelUnavailableError, match=rf"\({length} bytes\) instead of 0.3 MB \(300000 bytes\)"):
        client.bring()
    assert len(server.requests) == 1
    assert client.file.part_in(client.folder).stat().st_size == HALF  # what a login page may not destroy


def test_a_body_that_is_too_long_is_never_written(server: WeightServer, client: Client) -> None:
    server.acts.append(without_length(CONTENT + b"more"))
    with pytest.raises(ModelUnavailableError, match="sent more than 300000 bytes"):
        client.bring()
    assert max(progress.done_bytes for progress in client.progress) <= len(CONTENT)
    assert client.file.part_in(client.folder).stat().st_size == 0


def test_a_body_without_length_that_is_too_short_is_gone_on_with(server: WeightServer, client: Client) -> None:
    server.acts.append(without_length(CONTENT[:HALF]))
    assert is_whole(client.bring())
    assert server.ranges == [None, f"bytes={HALF}-"]


def test_a_body_without_length_is_taken(server: WeightServer, client: Client) -> None:
    server.acts.append(without_length(CONTENT))
    assert is_whole(client.bring())


def test_a_compressed_body_is_not_taken(server: WeightServer, client: Client) -> None:
    server.acts.append(answers(200, {"Content-Encoding": "gzip"}, CONTENT))
    with pytest.raises(ModelUnavailableError, match="compressed, though asked not to"):
        client.bring()
