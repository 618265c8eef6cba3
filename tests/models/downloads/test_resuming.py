"""Downloads that broke off go on where they stopped, if the server still has the same file."""

from __future__ import annotations

import pytest

from stemwright.errors import ModelUnavailableError
from tests.models.downloads.client import CONTENT, HALF, NAME, Client, is_whole, read_until, start
from tests.models.downloads.weight_server import (
    WeightServer,
    answers,
    breaks_off,
    stalls,
)


def test_a_part_is_gone_on_with_if_the_server_still_has_the_same_file(server: WeightServer, client: Client) -> None:
    server.acts.append(breaks_off(HALF))
    assert is_whole(client.bring())
    assert server.ranges == [None, f"bytes={HALF}-"]
    assert server.requests[1]["if-range"] == '"one"'
    assert client.left == {NAME}


def test_a_later_run_goes_on_too(server: WeightServer, client: Client) -> None:
    server.acts.append(breaks_off(HALF))
    with pytest.raises(ModelUnavailableError, match=r"broke off .* after 1 tries"):
        client.bring(tries=1)
    assert client.left == {f"{NAME}.part", f"{NAME}.part.json"}
    client.progress.clear()
    assert is_whole(client.bring(tries=1))
    assert server.ranges == [None, f"bytes={HALF}-"]
    assert server.requests[1]["if-range"] == '"one"'
    assert client.stages == ["verifying", "downloading", "verifying"]


def test_a_weak_tag_is_no_condition_but_a_date_is(server: WeightServer, client: Client) -> None:
    server.headers["ETag"] = 'W/"one"'
    server.acts.append(breaks_off(HALF))
    assert is_whole(client.bring())
    assert server.requests[1]["if-range"] == server.headers["Last-Modified"]


def test_a_server_without_versions_is_asked_without_a_condition(server: WeightServer, client: Client) -> None:
    server.headers.clear()
    server.acts.append(breaks_off(HALF))
    assert is_whole(client.bring())
    assert server.ranges == [None, f"bytes={HALF}-"]
    assert "if-range" not in server.requests[1]


def test_a_part_goes_on_from_another_server_without_the_condition_of_the_first(
    server: WeightServer, client: Client
) -> None:
    server.acts.append(breaks_off(HALF))
    with pytest.raises(ModelUnavailableError):
        client.bring(tries=1)
    server.headers["ETag"] = '"of the mirror"'
    assert is_whole(client.bring(mirror=f"{server.url}/mirror"))
    assert server.ranges == [None, f"bytes={HALF}-"]
    assert "if-range" not in server.requests[1]


def test_a_server_that_knows_no_ranges_begins_anew(server: WeightServer, client: Client) -> None:
    server.acts.extend([breaks_off(HALF), answers(200, {"ETag": '"one"'}, CONTENT)])
    assert is_whole(client.bring())
    assert server.ranges == [None, f"bytes={HALF}-"]


def test_a_file_that_changed_on_the_server_begins_anew(server: WeightServer, client: Client) -> None:
    server.content, server.headers["ETag"] = bytes(len(CONTENT)), '"old"'
    server.acts.append(breaks_off(HALF))
    with pytest.raises(ModelUnavailableError):
        client.bring(tries=1)
    server.content, server.headers["ETag"] = CONTENT, '"new"'
    assert is_whole(client.bring(tries=1))
    assert server.requests[1]["if-range"] == '"old"'
    assert len(server.requests) == 2


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Range": f"bytes 0-{len(CONTENT) - 1}/{len(CONTENT)}"},
        {"Content-Range": f"bytes {HALF}-{len(CONTENT)}/{len(CONTENT) + 1}"},
        {"Content-Range": "bytes"},
        {},
        {"Content-Range": f"bytes {HALF}-{len(CONTENT) - 1}/{len(CONTENT)}", "ETag": '"two"'},
    ],
)
def test_a_part_of_something_else_begins_anew_at_once(
    server: WeightServer, client: Client, headers: dict[str, str]
) -> None:
    server.acts.extend([breaks_off(HALF), answers(206, headers, CONTENT[HALF:])])
    assert is_whole(client.bring())
    assert server.ranges == [None, f"bytes={HALF}-", None]


def test_a_server_whose_file_became_shorter_begins_anew(server: WeightServer, client: Client) -> None:
    server.acts.extend([breaks_off(HALF), answers(416)])
    assert is_whole(client.bring())
    assert server.ranges == [None, f"bytes={HALF}-", None]


def test_what_never_fits_comes_to_an_end(server: WeightServer, client: Client) -> None:
    server.acts.extend([breaks_off(HALF), answers(206, {}, b"x")] * 10)
    with pytest.raises(ModelUnavailableError, match="another part than was asked for after 4 tries"):
        client.bring(tries=4)
    assert len(server.requests) == 4


def test_a_part_that_was_damaged_is_found_out_and_fetched_anew(server: WeightServer, client: Client) -> None:
    client.leave(bytes(HALF))
    assert is_whole(client.bring())
    assert server.ranges == [f"bytes={HALF}-", None]


def test_a_whole_part_needs_no_server(server: WeightServer, client: Client) -> None:
    client.leave(CONTENT)
    assert is_whole(client.bring())
    assert server.requests == []
    assert client.left == {NAME}


@pytest.mark.parametrize("part", [CONTENT + b"more", bytes(len(CONTENT))])
def test_a_part_that_can_become_nothing_is_fetched_anew(server: WeightServer, client: Client, part: bytes) -> None:
    client.leave(part)
    assert is_whole(client.bring())
    assert server.ranges == [None]


def test_a_note_of_the_version_that_cannot_be_read_counts_for_nothing(server: WeightServer, client: Client) -> None:
    client.leave(CONTENT[:HALF])
    client.file.version_in(client.folder).write_text('{"url": ')
    assert is_whole(client.bring())
    assert server.ranges == [f"bytes={HALF}-"]


def test_a_killed_process_is_gone_on_from(server: WeightServer, client: Client) -> None:
    server.acts.append(stalls(HALF))
    with start(client.file, client.folder) as process:
        assert process.stdout is not None
        read_until(process, f"downloading {HALF}")
        process.kill()
    assert client.file.part_in(client.folder).stat().st_size > 0
    assert is_whole(client.bring(tries=1))
    assert server.requests[1]["if-range"] == '"one"'
    asked = server.ranges[1]
    assert asked is not None
    assert 0 < int(asked[6:-1]) <= HALF
