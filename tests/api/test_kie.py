"""kie's face against its contract, key by key; and what it does where the contract is silent."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from stemwright.api.kie import routes as kie
from stemwright.service.ids import dashed, new_id
from stemwright.service.task import Task
from stemwright.service.tracks import VendorTrack
from tests.api.conftest import SECONDS, OpenServer, Server, starting
from tests.stand_in import KIE_KEY, Song, StandIn, tone

GENERATE = "/api/v1/vocal-removal/generate"
RECORD_INFO = "/api/v1/vocal-removal/record-info"
HOOK = "https://client.example/hook"
NOTHING = {"code": 200, "msg": "success", "data": None}

URL_KEYS = [
    *("instrumentalUrl", "vocalUrl", "backingVocalsUrl", "drumsUrl", "bassUrl", "guitarUrl", "pianoUrl", "keyboardUrl"),
    *("percussionUrl", "stringsUrl", "synthUrl", "fxUrl", "brassUrl", "woodwindsUrl"),
]

GROUPS = {
    "Vocals": "vocalUrl",
    "Backing Vocals": "backingVocalsUrl",
    "Drums": "drumsUrl",
    "Bass": "bassUrl",
    "Guitar": "guitarUrl",
    "Keyboard": "keyboardUrl",
    "Strings": "stringsUrl",
    "Brass": "brassUrl",
    "Woodwinds": "woodwindsUrl",
    "Percussion": "percussionUrl",
    "Synth": "synthUrl",
    "FX": "fxUrl",
}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory, mp3: bytes) -> Iterator[Server]:
    """As the vendor answers, with nothing added."""
    with starting(tmp_path_factory.mktemp("strict"), mp3) as start:
        yield start(lenient=False, rate_limit="0")


@pytest.fixture
def world() -> Iterator[StandIn]:
    with StandIn() as stand_in:
        yield stand_in


def post(server: Server, body: object, path: str = GENERATE) -> dict[str, Any]:
    reply = server.client.post(path, json=body)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == "application/json;charset=UTF-8"
    return dict(reply.json())


def order(server: Server, **fields: object) -> dict[str, object]:
    track = server.add_track()
    return {"taskId": track.task_id, "audioId": dashed(track.id), "callBackUrl": HOOK, **fields}


def submit(server: Server, **fields: object) -> str:
    reply = post(server, order(server, **fields))
    assert reply["code"] == 200, reply
    return str(reply["data"]["taskId"])


def record(server: Server, task_id: str, path: str = RECORD_INFO) -> Any:
    reply = server.client.get(path, params={"taskId": task_id}).json()
    assert (reply["code"], reply["msg"]) == (200, "success")
    return reply["data"]


def refused(server: Server, body: object) -> tuple[int, str]:
    reply = post(server, body)
    assert reply.keys() == {"code", "msg", "data"} and reply["data"] is None
    return reply["code"], reply["msg"]


def origin_data(server: Server, task: Task) -> list[dict[str, Any]]:
    groups = ["Vocals", "Instrumental"] if len(task.stems) == 2 else list(GROUPS)
    return [
        {
            "duration": SECONDS,
            "audio_url": server.service.links.stem_url(stem, task),
            "stem_type_group_name": group,
            "id": dashed(stem.id),
        }
        for stem, group in zip(task.stems, groups, strict=True)
    ]


# --- submit


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


BOGUS = {"taskId": "bogus", "audioId": "bogus", "callBackUrl": "https://example.com/cb", "type": "separate_vocal"}


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
    told = record(shared, task.id)
    assert (told["successFlag"], told["callbackUrl"]) == ("SUCCESS", word)


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


# --- codes


@pytest.mark.parametrize(
    "headers", [{}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic eA=="}, {"x-api-key": "x"}]
)
@pytest.mark.parametrize("path", [GENERATE, RECORD_INFO, "/api/v1/chat/credit", "/api/v1/nowhere"])
def test_without_a_good_key(shared: Server, path: str, headers: dict[str, str]) -> None:
    method = "POST" if path == GENERATE else "GET"
    reply = httpx.request(method, shared.url + path, headers=headers)
    assert (reply.status_code, reply.json()) == (200, {"code": 401, "msg": "You do not have access permissions"})


def test_a_revoked_key_and_one_that_may_only_read(shared: Server) -> None:
    body = order(shared)
    with shared.another("reader", account="alice", scopes=("read",)) as reader:
        assert reader.get("/api/v1/chat/credit").json()["code"] == 200
        reply = reader.post(GENERATE, json=body).json()
        assert (reply["code"], "may not write" in reply["msg"]) == (401, True)
        shared.service.keys.revoke("reader")
        assert reader.get("/api/v1/chat/credit").json() == {"code": 401, "msg": "You do not have access permissions"}


def test_the_key_is_taken_either_way(shared: Server) -> None:
    reply = httpx.get(f"{shared.url}/api/v1/chat/credit", headers={"x-api-key": shared.key})
    assert reply.json() == {"code": 200, "msg": "success", "data": 1_000_000}


def test_credits_are_charged_and_given_back(server: Server) -> None:
    track = server.add_track()
    body = {"taskId": track.task_id, "audioId": track.id, "callBackUrl": HOOK}
    server.service.ledger.grant("alice", 65_25)

    def credit() -> Any:
        return server.client.get("/api/v1/chat/credit").json()["data"]

    assert credit() == 65.25 == server.client.get("/api/v1/generate/credit").json()["data"]
    split = post(server, body | {"type": "split_stem"})["data"]["taskId"]
    assert credit() == 15.25
    assert post(server, body)["code"] == 200
    assert credit() == 5.25
    short = "The current credits are insufficient. Please top up."
    for kind in ("separate_vocal", "split_stem", "split_stem_advanced"):
        assert refused(server, body | {"type": kind, "stemName": "Bass"}) == (402, short)
    server.fail(split, 500, "It broke.")
    assert credit() == 55.25
    assert post(server, body | {"type": "split_stem_advanced", "stemName": "Bass"})["code"] == 200
    assert credit() == 35.25


def test_too_fast(open_server: OpenServer) -> None:
    server = open_server(rate_limit="2/60")
    body = order(server)
    assert [post(server, body)["code"] for _ in range(2)] == [200, 200]
    reply = server.client.post(GENERATE, json=body)
    assert reply.status_code == 200
    assert reply.json() == {
        "code": 429,
        "msg": "Your call frequency is too high. Please try again later.",
        "data": None,
    }
    assert 1 <= int(reply.headers["retry-after"]) <= 60


def test_too_many_at_once(open_server: OpenServer) -> None:
    server = open_server(max_running=1)
    assert post(server, order(server))["code"] == 200
    reply = server.client.post(GENERATE, json=order(server))
    assert reply.json()["code"] == 429 and int(reply.headers["retry-after"]) > 0


def test_maintenance_and_types_that_are_switched_off(open_server: OpenServer) -> None:
    server = open_server(disabled="split_stem")
    assert refused(server, order(server, type="split_stem")) == (505, "split_stem is switched off on this server.")
    server.maintain()
    assert refused(server, order(server)) == (455, "The service is under maintenance. Please try again later.")


def test_paths_that_are_not_there_and_wrong_methods(shared: Server) -> None:
    for path in ("/api/v1/generate", "/api/v1/vocal-removal", "/api/v1/mp4/generate", "/api/v1", "/api/other"):
        assert shared.client.post(path).json() == {
            "code": 404,
            "msg": f"{path} is not offered by this server.",
            "data": None,
        }
    for path, method in kie.METHODS.items():
        for wrong in {"GET", "POST", "PUT", "DELETE", "PATCH", "TRACE"} - {method}:
            reply = shared.client.request(wrong, path)
            assert reply.status_code == 200
            assert reply.json() == {"code": 405, "msg": f"{path} takes {method}, not {wrong}.", "data": None}


def test_a_fault_is_told_without_a_traceback(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(type(server.service.tasks), "get", fail)
    reply = server.client.get(RECORD_INFO, params={"taskId": uuid.uuid4().hex})
    assert (reply.status_code, reply.json()) == (
        200,
        {"code": 500, "msg": "Server Error - Please try again later.", "data": None},
    )


def test_the_status_mirrors_the_code_where_that_is_set(open_server: OpenServer) -> None:
    server = open_server(mirror_status=True, rate_limit="1/60")
    body = order(server)
    assert server.client.post(GENERATE, json=BOGUS).status_code == 422
    assert server.client.post(GENERATE, content=b"{").status_code == 400
    assert server.client.get("/api/v1/nowhere").status_code == 404
    assert server.client.get(GENERATE).status_code == 405
    assert httpx.get(f"{server.url}/api/v1/chat/credit").status_code == 401
    assert server.client.post(GENERATE, json=body).status_code == 200
    fast = server.client.post(GENERATE, json=body)
    assert (fast.status_code, "retry-after" in fast.headers) == (429, True)
    server.maintain()
    with server.another() as bob:
        assert bob.post(GENERATE, json={"audioUrl": HOOK}).status_code == 455


def test_codes_of_the_sister(open_server: OpenServer) -> None:
    server = open_server(dialect="sunoapi", rate_limit="1/60")
    body = order(server)
    assert refused(server, BOGUS) == (400, "Record does not exist")
    assert refused(server, {}) == (400, "taskId cannot be blank")
    assert server.client.get(GENERATE).json()["code"] == 404
    assert httpx.get(f"{server.url}/api/v1/chat/credit").json()["code"] == 401
    with server.another(credits_hundredths=0) as poor:
        track = server.service.links.track_url(server.add_track())
        assert poor.post(GENERATE, json={"audioUrl": track}).json() == {
            "code": 429,
            "msg": "The current credits are insufficient. Please top up.",
            "data": None,
        }
    assert post(server, body)["code"] == 200
    assert refused(server, body) == (430, "Your call frequency is too high. Please try again later.")
    busy = open_server(dialect="sunoapi", max_running=1)
    assert post(busy, order(busy))["code"] == 200
    assert refused(busy, order(busy))[0] == 405


# --- record-info


@pytest.mark.parametrize(
    "task_id", ["bogus", "0" * 32, "50e1fc92-dd14-4694-8aa8-15346587b98a", "'; DROP TABLE tasks", "é\x00"]
)
def test_an_unknown_task(shared: Server, task_id: str) -> None:
    assert shared.client.get(RECORD_INFO, params={"taskId": task_id}).json() == NOTHING


def test_a_record_without_an_id(shared: Server) -> None:
    for path in (RECORD_INFO, "/api/v1/generate/record-info"):
        assert shared.client.get(path).json() == {"code": 422, "msg": "taskId cannot be blank", "data": None}


def test_nothing_of_one_account_is_seen_by_another(shared: Server) -> None:
    track = shared.add_track()
    task = shared.succeed(submit(shared))
    with shared.another() as bob:
        assert bob.get(RECORD_INFO, params={"taskId": task.id}).json() == NOTHING
        assert bob.get("/api/v1/generate/record-info", params={"taskId": track.task_id}).json() == NOTHING
        for ids in ((track.task_id, track.id), (task.id, task.stems[0].id)):
            body = {"taskId": ids[0], "audioId": ids[1], "callBackUrl": HOOK}
            assert bob.post(GENERATE, json=body).json()["msg"] == "Record does not exist"
        url = {"url": shared.service.links.stem_url(task.stems[0], task)}
        assert bob.post("/api/v1/common/download-url", json=url).json()["msg"] == "url is wrong"


def test_pending(strict: Server) -> None:
    track = strict.add_track()
    body = {"taskId": track.task_id, "audioId": dashed(track.id), "callBackUrl": HOOK}
    task = strict.task(post(strict, body)["data"]["taskId"])
    expected = {
        "taskId": task.id,
        "musicId": dashed(track.id),
        "callbackUrl": HOOK,
        "musicIndex": 0,
        "completeTime": None,
        "response": None,
        "successFlag": "PENDING",
        "createTime": round(task.created_at * 1000),
        "errorCode": None,
        "errorMessage": None,
    }
    assert record(strict, task.id) == expected
    assert record(strict, dashed(task.id)) == expected
    strict.hold(task.id)
    assert record(strict, task.id) == expected


def test_separate_vocal_done(strict: Server) -> None:
    task = strict.succeed(submit(strict))
    vocals, instrumental = (strict.service.links.stem_url(stem, task) for stem in task.stems)
    assert task.ended_at is not None
    assert record(strict, task.id) == {
        "taskId": task.id,
        "musicId": dashed(task.track_id),
        "callbackUrl": HOOK,
        "musicIndex": 0,
        "completeTime": round(task.ended_at * 1000),
        "response": {
            "id": None,
            "originUrl": None,
            "originData": origin_data(strict, task),
            **dict.fromkeys(URL_KEYS),
            "instrumentalUrl": instrumental,
            "vocalUrl": vocals,
        },
        "successFlag": "SUCCESS",
        "createTime": round(task.created_at * 1000),
        "errorCode": None,
        "errorMessage": None,
    }


def test_the_keys_of_a_response_come_in_the_vendors_order(strict: Server) -> None:
    response = record(strict, strict.succeed(submit(strict)).id)["response"]
    assert list(response) == ["id", "originUrl", "originData", *URL_KEYS]


def test_split_stem_done(strict: Server) -> None:
    task = strict.succeed(submit(strict, type="split_stem"))
    data = origin_data(strict, task)
    assert record(strict, task.id)["response"] == {
        "id": None,
        "originUrl": None,
        "originData": data,
        "instrumentalUrl": None,
        "pianoUrl": None,
        **{GROUPS[item["stem_type_group_name"]]: item["audio_url"] for item in data},
    }


def test_one_instrument_done(strict: Server) -> None:
    task = strict.succeed(submit(strict, type="split_stem_advanced", stemName="Bass Guitar"))
    extract, remove = (
        {
            "duration": SECONDS,
            "audio_url": strict.service.links.stem_url(stem, task),
            "stem_type_group_name": group,
            "id": dashed(stem.id),
        }
        for stem, group in zip(task.stems, ("Bass Guitar", "Bass Guitar"), strict=True)
    )
    assert record(strict, task.id)["response"] == {
        "id": None,
        "originUrl": None,
        "originData": [{"extract": extract, "remove": remove}],
        **dict.fromkeys(URL_KEYS),
    }


@pytest.mark.parametrize(("code", "kind"), [(500, "separate_vocal"), (501, "split_stem"), (451, "split_stem")])
def test_failed(strict: Server, code: int, kind: str) -> None:
    task = strict.fail(submit(strict, type=kind), code, "It broke.")
    assert task.ended_at is not None
    assert record(strict, task.id) == {
        "taskId": task.id,
        "musicId": dashed(task.track_id),
        "callbackUrl": HOOK,
        "musicIndex": 0,
        "completeTime": round(task.ended_at * 1000),
        "response": None,
        "successFlag": "GENERATE_AUDIO_FAILED",
        "createTime": round(task.created_at * 1000),
        "errorCode": 500,
        "errorMessage": "Vocal separation failed",
    }


def test_what_lenience_adds(shared: Server) -> None:
    task = shared.succeed(submit(shared))
    told = record(shared, task.id)
    assert told["status"] == told["successFlag"] == "SUCCESS"
    vocals, instrumental = (shared.service.links.stem_url(stem, task) for stem in task.stems)
    info = {"origin_url": "", "vocal_url": vocals, "instrumental_url": instrumental}
    assert told["vocal_removal_info"] == info == kie.callback_body(shared.service, task)["data"]["vocal_removal_info"]
    failed = shared.fail(submit(shared), 500, "It broke.")
    assert record(shared, failed.id)["errorMessage"] == "Vocal separation failed: It broke."
    for waiting_or_failed in (submit(shared), failed.id):
        assert record(shared, waiting_or_failed)["vocal_removal_info"] is None
    one = shared.succeed(submit(shared, type="split_stem_advanced", stemName="Bass"))
    told = record(shared, one.id)
    assert told["vocal_removal_info"] == {"origin_url": "", "origin_data": told["response"]["originData"]}
    cancelled = shared.service.tasks.cancel(task.account_id, submit(shared))
    told = record(shared, cancelled.id)
    assert (told["status"], told["errorMessage"]) == (
        "GENERATE_AUDIO_FAILED",
        "Vocal separation failed: the task was cancelled.",
    )


@pytest.mark.parametrize("lenient", [True, False])
def test_the_mix_is_no_stem_but_in_the_dialect_of_the_sister(open_server: OpenServer, lenient: bool) -> None:
    server = open_server(lenient=lenient)
    task = server.succeed(submit(server, type="split_stem"))
    body = kie.callback_body(server.service, task)["data"]
    assert record(server, task.id)["response"]["originUrl"] is body["response"]["originUrl"] is None
    assert body["vocal_removal_info"]["origin_url"] == body["vocal_separation_info"]["origin_url"] == ""

    sister = open_server(lenient=lenient, dialect="sunoapi")
    task = sister.succeed(submit(sister))
    track = sister.service.tracks.get(task.account_id, task.track_id)
    assert track is not None
    body = kie.callback_body(sister.service, task)["data"]
    assert record(sister, task.id)["response"]["originUrl"] == sister.service.links.track_url(track)
    assert body["vocal_removal_info"]["origin_url"] == sister.service.links.track_url(track)


def test_links_end_in_id_and_group_stay_the_same_and_lead_to_the_file(shared: Server) -> None:
    task = shared.succeed(submit(shared, type="split_stem"))
    first, second = record(shared, task.id), record(shared, task.id)
    assert first == second
    url = first["response"]["backingVocalsUrl"]
    assert url.startswith(f"{shared.url}/s/")
    assert url.endswith(f"/{dashed(task.stems[1].id)}_Backing_Vocals.mp3")
    assert httpx.get(url).content == shared.mp3


def test_the_second_song_of_a_task_has_index_1(open_server: OpenServer, world: StandIn) -> None:
    server = open_server(upstream_kie_key=KIE_KEY, upstream_kie_url=world.url)
    made = world.add_task(Song(tone()), Song(tone()))
    reply = post(server, {"taskId": made.id, "audioId": made.songs[1].id, "callBackUrl": HOOK})
    told = record(server, reply["data"]["taskId"])
    assert (told["musicId"], told["musicIndex"]) == (made.songs[1].id, 1)


# --- callbacks


def delivered(server: Server, world: StandIn, task: Task) -> Any:
    before = len(world.of("/hook"))
    assert task.callback_url == f"{world.url}/hook"
    assert server.deliver() == 1
    request = world.wait_for("/hook", before + 1)[-1]
    assert request.headers["content-type"] == "application/json"
    return request.json


def test_a_callback_satisfies_every_reader(open_server: OpenServer, world: StandIn) -> None:
    server = open_server(lenient=False)
    task = server.succeed(submit(server, callBackUrl=f"{world.url}/hook"))
    vocals, instrumental = (server.service.links.stem_url(stem, task) for stem in task.stems)
    info = {"origin_url": "", "vocal_url": vocals, "instrumental_url": instrumental}
    assert delivered(server, world, task) == {
        "code": 200,
        "msg": "vocal separation generated successfully.",
        "data": {
            "task_id": task.id,
            "taskId": task.id,
            "vocal_separation_info": info,
            "vocal_removal_info": info,
            "response": record(server, task.id)["response"],
            "successFlag": "SUCCESS",
            "musicId": dashed(task.track_id),
            "musicIndex": 0,
        },
    }


def test_a_callback_of_twelve_stems(strict: Server) -> None:
    body = kie.callback_body(strict.service, task := strict.succeed(submit(strict, type="split_stem")))
    urls = {key: url for key, url in record(strict, task.id)["response"].items() if key in GROUPS.values()}
    snake = {re.sub("[A-Z]", lambda letter: f"_{letter[0].lower()}", key): url for key, url in urls.items()}
    assert len(snake) == 12 and "backing_vocals_url" in snake
    assert body["data"]["vocal_separation_info"] == body["data"]["vocal_removal_info"] == {"origin_url": ""} | snake


def test_a_callback_of_one_instrument(strict: Server) -> None:
    task = strict.succeed(submit(strict, type="split_stem_advanced", stemName="Guitar"))
    body = kie.callback_body(strict.service, task)
    response = record(strict, task.id)["response"]
    assert (body["code"], body["msg"]) == (200, "vocal Removal generated successfully.")
    assert body["data"]["vocal_removal_info"] == {"origin_url": "", "origin_data": response["originData"]}
    assert body["data"]["response"] == response


@pytest.mark.parametrize(
    ("kind", "failed_with", "dialect", "code", "message"),
    [
        ("separate_vocal", 500, "kie", 500, "Vocal separation failed"),
        ("split_stem", 501, "kie", 500, "Vocal separation failed"),
        ("split_stem_advanced", 500, "kie", 501, "Vocal separation failed"),
        ("separate_vocal", 451, "kie", 451, "files.example did not answer in time."),
        ("separate_vocal", 500, "sunoapi", 400, "Vocal separation failed"),
        ("split_stem_advanced", 451, "sunoapi", 451, "files.example did not answer in time."),
    ],
)
def test_a_callback_of_a_failure(
    open_server: OpenServer, kind: str, failed_with: int, dialect: str, code: int, message: str
) -> None:
    server = open_server(dialect=dialect)
    task_id = submit(server, type=kind, stemName="Bass")
    task = server.fail(task_id, failed_with, "files.example did not answer in time.")
    body = kie.callback_body(server.service, task)
    infos = (
        {"vocal_removal_info": None}
        if dialect == "sunoapi"
        else dict.fromkeys(["vocal_separation_info", "vocal_removal_info"])
    )
    assert body == {
        "code": code,
        "msg": message,
        "data": {
            "task_id": task.id,
            "taskId": task.id,
            **infos,
            "response": None,
            "successFlag": "GENERATE_AUDIO_FAILED",
            "musicId": dashed(task.track_id),
            "musicIndex": 0,
        },
    }


def test_a_callback_of_the_sisters(open_server: OpenServer) -> None:
    server = open_server(dialect="sunoapi")
    body = kie.callback_body(server.service, server.succeed(submit(server)))
    assert body["msg"] == "vocal Removal generated successfully."
    assert "vocal_separation_info" not in body["data"]
    assert body["data"]["vocal_removal_info"].keys() == {"origin_url", "vocal_url", "instrumental_url"}


def test_a_callback_that_fails_leaves_the_task_a_success(shared: Server) -> None:
    task = shared.succeed(submit(shared, callBackUrl=f"{shared.url}/api/v1/nowhere-at-all"))
    shared.deliver()
    assert record(shared, task.id)["successFlag"] == "SUCCESS"


# --- songs that stand in for generated ones, links, pass-through


def test_an_imported_song_looks_generated(shared: Server) -> None:
    track = shared.add_track("My mix")
    url = shared.service.links.track_url(track)
    told = record(shared, track.task_id, "/api/v1/generate/record-info")
    created = told["response"]["sunoData"][0].pop("createTime")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", created)
    assert json.loads(told.pop("param")) == {"title": "My mix"}
    assert told == {
        "taskId": track.task_id,
        "parentMusicId": "",
        "response": {
            "taskId": track.task_id,
            "sunoData": [
                {
                    "id": dashed(track.id),
                    "audioUrl": url,
                    "streamAudioUrl": url,
                    "imageUrl": "",
                    "prompt": "",
                    "modelName": "imported",
                    "title": "My mix",
                    "tags": "",
                    "duration": SECONDS,
                }
            ],
        },
        "status": "SUCCESS",
        "type": "GENERATE",
        "operationType": "upload_cover",
        "errorCode": None,
        "errorMessage": None,
    }
    assert record(shared, uuid.uuid4().hex, "/api/v1/generate/record-info") is None
    assert record(shared, "bogus", "/api/v1/generate/record-info") is None


def test_a_download_link_works_for_20_minutes(open_server: OpenServer) -> None:
    now = [1_780_000_000.0]
    server = open_server(clock=lambda: now[0])
    task = server.succeed(submit(server))
    url = server.service.links.stem_url(task.stems[0], task)
    reply = post(server, {"url": url}, "/api/v1/common/download-url")
    assert (reply["code"], reply["msg"]) == (200, "success")
    assert httpx.get(reply["data"]).content == server.mp3
    now[0] += 20 * 60 - 1
    assert httpx.get(reply["data"]).status_code == 200
    now[0] += 2
    assert httpx.get(reply["data"]).status_code == 410
    assert httpx.get(url).status_code == 200


def test_a_download_link_is_for_files_of_this_server(shared: Server) -> None:
    task = shared.succeed(submit(shared))
    forged = shared.service.links.stem_url(task.stems[0], task).replace(
        dashed(task.stems[0].id), dashed(task.stems[1].id)
    )
    for url in ("https://example.com/a.mp3", "not a url", forged, "http://[", "x" * 5000):
        assert post(shared, {"url": url}, "/api/v1/common/download-url") == {
            "code": 422,
            "msg": "url is wrong",
            "data": None,
        }
    assert post(shared, {}, "/api/v1/common/download-url")["msg"] == "url cannot be blank"
    assert post(shared, {"url": 7}, "/api/v1/common/download-url")["msg"] == "url must be a string"


def test_what_is_not_served_here_goes_to_the_vendor(open_server: OpenServer, world: StandIn) -> None:
    server = open_server(upstream_kie_key=KIE_KEY, upstream_kie_url=world.url)
    made = server.client.post("/api/v1/generate", json={"prompt": "la"}).json()["data"]["taskId"]
    told = record(server, made, "/api/v1/generate/record-info")
    assert [song["title"] for song in told["response"]["sunoData"]] == ["First", "Second"]
    audio_id = told["response"]["sunoData"][0]["id"]
    task_id = post(server, {"taskId": made, "audioId": audio_id, "callBackUrl": HOOK})["data"]["taskId"]
    assert record(server, task_id)["musicId"] == audio_id
    # The vendor still tells of its own song, now that it is known here; and never of what is ours.
    assert record(server, made, "/api/v1/generate/record-info") == told
    asked = len(world.of("/api/v1/generate/record-info"))
    assert record(server, server.add_track().task_id, "/api/v1/generate/record-info")["status"] == "SUCCESS"
    with server.another() as bob:
        assert bob.get("/api/v1/generate/record-info", params={"taskId": task_id}).json() == NOTHING
    assert len(world.of("/api/v1/generate/record-info")) == asked
    assert server.client.get("/api/v1/chat/credit").json()["data"] == 1_000_000
    vendors = {"url": "https://tempfile.vendor.example/a.mp3"}
    assert post(server, vendors, "/api/v1/common/download-url")["code"] == 404  # what the stand-in says
    assert world.of("/api/v1/common/download-url")[0].json == vendors
    assert all(server.key not in str(request.headers) for request in world.received)


def test_songs_of_the_other_vendor_are_told_of_here(open_server: OpenServer, world: StandIn) -> None:
    server = open_server(upstream_kie_key=KIE_KEY, upstream_kie_url=world.url)
    song = VendorTrack(new_id(), f"{world.url}/audio/a.wav", "Theirs", 1, 2.5, {"suno_id": "a"})
    server.service.tracks.add_vendor(server.caller.account_id, task_id := new_id(), [song])
    told = record(server, task_id, "/api/v1/generate/record-info")["response"]["sunoData"][0]
    assert (told["id"], told["audioUrl"], told["title"]) == (dashed(song.audio_id), song.url, "Theirs")
    assert world.received == []


def test_openapi_tells_how_to_ask(shared: Server) -> None:
    told = shared.client.get("/openapi.json").json()
    places = told["components"]["securitySchemes"]
    for path, method in kie.METHODS.items():
        endpoint = told["paths"][path][method.lower()]
        assert endpoint["summary"] and endpoint["description"] and endpoint["tags"] == ["kie.ai"]
        assert all(place in places for way in endpoint["security"] for place in way)
        assert ("requestBody" in endpoint) == (method == "POST")


def test_a_stranger_reaches_no_vendor(open_server: OpenServer, world: StandIn) -> None:
    server = open_server(upstream_kie_key=KIE_KEY, upstream_kie_url=world.url)
    assert httpx.post(f"{server.url}/api/v1/generate", json={}).json()["code"] == 401
    assert server.client.put(GENERATE).json()["code"] == 405
    assert world.received == []


@pytest.mark.parametrize(("fault", "code"), [("silent", 408), ("failing", 451)])
def test_a_vendor_that_does_not_know_what_song_it_is(
    open_server: OpenServer, world: StandIn, fault: Any, code: int
) -> None:
    server = open_server(upstream_kie_key=KIE_KEY, upstream_kie_url=world.url, upstream_timeout_s=0.3)
    world.break_with(fault, seconds=1.0)
    body = {"taskId": uuid.uuid4().hex, "audioId": str(uuid.uuid4()), "callBackUrl": HOOK}
    assert refused(server, body)[0] == code
    world.break_with(None)
    assert refused(server, body) == (422, "Record does not exist")
