"""kie's face: what a request for a separation may hold, and what is refused."""

from __future__ import annotations

import re
import uuid
from typing import Any

import pytest

from stemwright.service.ids import dashed
from tests.api.conftest import Server
from tests.api.kie import (
    BOGUS,
    GENERATE,
    HOOK,
    order,
    post,
    record,
    refused,
    submit,
)


def test_a_task_id_is_32_hex_digits_and_every_request_is_a_new_task(shared: Server) -> None:
    body = order(shared)
    first, second = post(shared, body), post(shared, body)
    for reply in (first, second):
        assert reply == {"code": 200, "msg": "success", "data": {"taskId": reply["data"]["taskId"]}}
        assert re.fullmatch(r"[0-9a-f]{32}", reply["data"]["taskId"])
    assert first != second


@pytest.mark.parametrize(
    ("asked", "kind", "stems"),
    [
        ({}, "separate_vocal", "two"),
        ({"type": None}, "separate_vocal", "two"),
        ({"type": "separate_vocal", "stemName": "Kazoo"}, "separate_vocal", "two"),  # read for one type only
        ({"type": "split_stem"}, "split_stem", "twelve"),
        ({"type": "split_stem_advanced", "stemName": "Drum Kit"}, "split_stem_advanced", "drums"),
    ],
)
def test_types(shared: Server, asked: dict[str, Any], kind: str, stems: str) -> None:
    task = shared.task(submit(shared, **asked))
    assert (task.face, task.kind, task.stems_asked, task.format) == ("kie", kind, stems, "mp3")


def test_ids_are_taken_in_both_spellings_and_extra_keys_are_ignored(shared: Server) -> None:
    track = shared.add_track()
    for task_id, audio_id in ((dashed(track.task_id), track.id.upper()), (track.task_id, dashed(track.id))):
        body = {"taskId": task_id, "audioId": audio_id, "callBackUrl": HOOK, "callbackUrl": HOOK, "replyUrl": 7}
        assert post(shared, body)["code"] == 200


def test_a_stem_is_a_song_too(shared: Server) -> None:
    task = shared.succeed(submit(shared))
    drums = post(shared, {"taskId": task.id, "audioId": dashed(task.stems[1].id), "type": "split_stem"})
    assert record(shared, drums["data"]["taskId"])["musicId"] == dashed(task.stems[1].id)


def test_audio_url_stands_in_place_of_the_ids(shared: Server) -> None:
    reply = post(shared, {"audioUrl": "https://files.example/mix.wav", "type": "split_stem", "callBackUrl": HOOK})
    assert shared.task(reply["data"]["taskId"]).source_url == "https://files.example/mix.wav"
    own = post(shared, {"audioUrl": shared.service.links.track_url(track := shared.add_track()), "callBackUrl": HOOK})
    task = shared.task(own["data"]["taskId"])
    assert (task.source_url, task.track_id) == (None, track.id)


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        (BOGUS, 422, "Record does not exist"),
        (BOGUS | {"taskId": uuid.uuid4().hex, "audioId": str(uuid.uuid4())}, 422, "Record does not exist"),
        ({"audioId": "a", "callBackUrl": HOOK}, 422, "taskId cannot be blank"),
        ({"taskId": "t", "callBackUrl": HOOK}, 422, "audioId cannot be blank"),
        ({"taskId": " ", "audioId": "a", "callBackUrl": HOOK}, 422, "taskId cannot be blank"),
        ({"taskId": 7, "audioId": "a", "callBackUrl": HOOK}, 422, "taskId must be a string"),
        ({"taskId": "t", "audioId": ["a"], "callBackUrl": HOOK}, 422, "audioId must be a string"),
        (BOGUS | {"type": "karaoke"}, 422, "type must be one of: separate_vocal, split_stem, split_stem_advanced"),
        (BOGUS | {"type": {}}, 422, "type must be a string"),
        (BOGUS | {"type": "split_stem_advanced"}, 422, "stemName cannot be blank"),
        (BOGUS | {"callBackUrl": {}}, 422, "callBackUrl must be a string"),
        (BOGUS | {"audioUrl": HOOK}, 422, "audioUrl replaces taskId and audioId: send one or the other"),
        ({"audioUrl": 7, "callBackUrl": HOOK}, 422, "audioUrl must be a string"),
    ],
)
def test_fields_that_are_missing_or_wrong(shared: Server, body: object, code: int, message: str) -> None:
    assert refused(shared, body) == (code, message)


MALFORMED = ["ftp://example.com/a", "https://", "https://exa mple.com/", "https:example.com", "x" * 5000]
WITHOUT_SCHEME = ["playground", "not a url", "//example.com", "example.com/hook", "localhost:3000/hook"]


@pytest.mark.parametrize("field", ["callBackUrl", "audioUrl"])
@pytest.mark.parametrize("url", [*MALFORMED, *WITHOUT_SCHEME])
def test_a_malformed_url_is_refused_by_the_name_of_its_field(
    shared: Server, strict: Server, field: str, url: str
) -> None:
    body = {"callBackUrl": HOOK, "audioUrl": "https://files.example/mix.wav"} | {field: url}
    lenience = field == "callBackUrl" and url in WITHOUT_SCHEME
    for server in (strict,) if lenience else (strict, shared):
        code, message = refused(server, body)
        assert code == 422
        assert message.startswith(f"{field} must be a whole http:// or https:// URL")


@pytest.mark.parametrize("word", WITHOUT_SCHEME)
def test_a_callback_url_without_a_scheme_means_that_the_client_polls(shared: Server, word: str) -> None:
    task = shared.succeed(submit(shared, callBackUrl=word))
    assert task.callback_url is None and shared.service.callbacks.log(task.account_id, task.id) == []
    data = record(shared, task.id)
    assert (data["successFlag"], data["callbackUrl"]) == ("SUCCESS", word)


@pytest.mark.parametrize("url", ["https://noop", "https://example.com/cb", "http://169.254.169.254/latest/meta-data"])
def test_a_callback_that_leads_nowhere_is_taken(shared: Server, url: str) -> None:
    assert record(shared, submit(shared, callBackUrl=url))["callbackUrl"] == url


def test_an_instrument_that_no_stem_answers(shared: Server) -> None:
    code, message = refused(shared, order(shared, type="split_stem_advanced", stemName="Kick"))
    assert (code, message) == (
        422,
        "stemName 'Kick' cannot be separated on its own: send 'Drum Kit' to get the whole group.",
    )


@pytest.mark.parametrize("missing", [{}, {"callBackUrl": ""}, {"callBackUrl": None}])
def test_without_a_callback_url(shared: Server, strict: Server, missing: dict[str, Any]) -> None:
    track = strict.add_track()
    named = {"taskId": track.task_id, "audioId": track.id}
    assert refused(strict, named | missing) == (422, "Please enter callBackUrl.")
    track = shared.add_track()
    reply = post(shared, {"taskId": track.task_id, "audioId": track.id} | missing)
    assert record(shared, reply["data"]["taskId"])["callbackUrl"] == ""


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"nul", b'"text"', b"[" * 100_000, b'{"a":"\\ud800"}', b'{"a":"\\u0000"}', b"\xff\xfe", b"NaN"],
)
def test_a_body_that_is_not_a_json_object(shared: Server, content: bytes) -> None:
    reply = shared.client.post(GENERATE, content=content).json()
    assert reply["code"] == 400 and reply["data"] is None and "request body" in reply["msg"]


def test_a_body_that_is_too_large(shared: Server) -> None:
    reply = shared.client.post(GENERATE, content=b'{"a":"' + b"a" * 1_100_000 + b'"}').json()
    assert (reply["code"], reply["data"]) == (413, None)
