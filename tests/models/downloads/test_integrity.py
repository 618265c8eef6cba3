"""Files of weights come whole, or not at all: what is there is kept, wrong bytes and lengths are refused."""

from __future__ import annotations

import pytest

from stemwright.errors import ModelUnavailableError
from stemwright.models.weight_download import DownloadProgress
from tests.models.downloads.client import BY_HAND, CONTENT, HALF, NAME, Client, is_whole
from tests.models.downloads.weight_server import (
    WeightServer,
    answers,
    breaks_off,
    without_length,
)


def test_a_file_comes_whole_and_is_told_of(server: WeightServer, client: Client) -> None:
    path = client.bring()
    assert path == client.folder / NAME
    assert is_whole(path)
    assert client.left == {NAME}
    assert server.targets == ["/release/net%20v1.ckpt"]
    assert server.requests[0]["accept-encoding"] == "identity"
    assert server.requests[0]["user-agent"].startswith("Stemwright/")
    assert client.told[0] == DownloadProgress(NAME, 0, len(CONTENT), "downloading")
    assert client.told[-1] == DownloadProgress(NAME, len(CONTENT), len(CONTENT), "verifying")
    done = [progress.done_bytes for progress in client.told]
    assert done == sorted(done)


def test_what_is_there_is_neither_fetched_nor_read_again(server: WeightServer, client: Client) -> None:
    client.bring()
    client.told.clear()
    assert is_whole(client.bring())
    assert client.told == []
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


def test_wrong_bytes_are_deleted_and_told(server: WeightServer, client: Client) -> None:
    server.content = bytes(len(CONTENT))
    with pytest.raises(ModelUnavailableError, match=f"not the SHA-256 of the registry.*{BY_HAND}"):
        client.bring()
    assert len(server.requests) == 1
    assert client.left == set()


def test_wrong_bytes_after_a_part_are_fetched_anew_once(server: WeightServer, client: Client) -> None:
    server.content = bytes(len(CONTENT))
    server.acts.append(breaks_off(HALF))
    with pytest.raises(ModelUnavailableError, match="not the SHA-256"):
        client.bring()
    assert server.ranges == [None, f"bytes={HALF}-", None]
    assert client.left == set()


@pytest.mark.parametrize("length", [len(CONTENT) - 1, len(CONTENT) + 1, 20])
def test_a_server_that_says_another_length_has_another_file(server: WeightServer, client: Client, length: int) -> None:
    client.leave(CONTENT[:HALF])
    server.acts.append(answers(200, {"Content-Type": "text/html"}, bytes(length)))
    with pytest.raises(ModelUnavailableError, match=rf"\({length} bytes\) instead of 0.3 MB \(300000 bytes\)"):
        client.bring()
    assert len(server.requests) == 1
    assert client.file.part_in(client.folder).stat().st_size == HALF  # what a login page may not destroy


def test_a_body_that_is_too_long_is_never_written(server: WeightServer, client: Client) -> None:
    server.acts.append(without_length(CONTENT + b"more"))
    with pytest.raises(ModelUnavailableError, match="sent more than 300000 bytes"):
        client.bring()
    assert max(progress.done_bytes for progress in client.told) <= len(CONTENT)
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
