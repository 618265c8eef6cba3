"""The market's route, ``jobs/createTask`` and ``jobs/recordInfo`` (docs/contracts.md, section 10)."""

from __future__ import annotations

import json
from typing import Any

import pytest

from stemwright.api.kie import routes as kie
from stemwright.service.ids import dashed
from stemwright.service.task import Task
from tests.api.conftest import OpenServer, Server
from tests.stand_in import KIE_KEY, Song, StandIn, tone

CREATE = "/api/v1/jobs/createTask"
RECORD_INFO = "/api/v1/jobs/recordInfo"
SEPARATE = "ai-music-api/separate-vocals"
TO_WAV = "ai-music-api/convert-to-wav-format"
HOOK = "https://client.example/hook"


def post(server: Server, body: object) -> dict[str, Any]:
    reply = server.client.post(CREATE, json=body)
    assert reply.status_code == 200
    return dict(reply.json())


def song(server: Server) -> dict[str, str]:
    track = server.add_track()
    return {"task_id": track.task_id, "audio_id": dashed(track.id)}


def submit(server: Server, model: str = SEPARATE, **fields: object) -> str:
    reply = post(server, {"model": model, "callBackUrl": HOOK, "input": song(server) | fields})
    assert reply == {"code": 200, "msg": "success", "data": {"taskId": reply["data"]["taskId"]}}
    return str(reply["data"]["taskId"])


def record(server: Server, task_id: str) -> Any:
    reply = server.client.get(RECORD_INFO, params={"taskId": task_id}).json()
    assert (reply["code"], reply["msg"]) == (200, "success"), reply
    return reply["data"]


def urls(server: Server, task: Task) -> list[str]:
    return [server.service.links.stem_url(stem, task) for stem in task.stems]


@pytest.mark.parametrize(
    ("fields", "kind", "stems"),
    [
        ({}, "separate_vocal", "two"),
        ({"type": "split_stem"}, "split_stem", "twelve"),
        ({"type": "split_stem_advanced", "stem_name": "Drum Kit"}, "split_stem_advanced", "drums"),
        ({"separationType": "both"}, "separate_vocal", "two"),  # what one client sends
    ],
)
def test_it_is_the_same_task_underneath(shared: Server, fields: dict[str, Any], kind: str, stems: str) -> None:
    task = shared.task(submit(shared, **fields))
    assert (task.face, task.kind, task.stems_asked, task.callback_url) == ("kie", kind, stems, HOOK)
    old = shared.client.get("/api/v1/vocal-removal/record-info", params={"taskId": task.id}).json()["data"]
    assert (old["taskId"], old["musicId"], old["callbackUrl"]) == (task.id, dashed(task.track_id), HOOK)


def test_waiting_under_way_and_done(shared: Server) -> None:
    task_id = submit(shared, type="split_stem")
    task = shared.task(task_id)
    data = record(shared, task_id)
    asked = {"task_id": shared_id(shared, task), "audio_id": dashed(task.track_id), "type": "split_stem"}
    assert json.loads(data.pop("param")) == {"model": SEPARATE, "callBackUrl": HOOK, "input": asked}
    created = round(task.created_at * 1000)
    assert data == {
        "taskId": task_id,
        "model": SEPARATE,
        "state": "waiting",
        "resultJson": "",
        "failCode": None,
        "failMsg": None,
        "costTime": None,
        "completeTime": None,
        "createTime": created,
        "updateTime": created,
        "creditsConsumed": 0,
        "response": None,
    }
    lease = shared.hold(task_id)
    assert record(shared, task_id)["state"] == "generating"
    task = shared.succeed(task_id, lease=lease)
    assert task.ended_at is not None
    data = record(shared, task_id)
    assert (data["state"], data["creditsConsumed"]) == ("success", 50)
    assert (data["completeTime"], data["costTime"] >= 0) == (round(task.ended_at * 1000), True)
    assert json.loads(data["resultJson"]) == data["response"]


def shared_id(server: Server, task: Task) -> str:
    track = server.service.tracks.get(task.account_id, task.track_id)
    assert track is not None
    return track.task_id


def test_the_result_has_every_layout_that_readers_know(shared: Server) -> None:
    task = shared.succeed(submit(shared))
    vocals, instrumental = urls(shared, task)
    result = json.loads(record(shared, task.id)["resultJson"])
    flat = [(item["stem_type_group_name"], item["audio_url"]) for item in result["origin_data"]]
    assert flat == [("Vocals", vocals), ("Instrumental", instrumental)]
    assert (result["vocal_url"], result["instrumental_url"]) == (vocals, instrumental)
    assert (result["vocalUrl"], result["instrumentalUrl"]) == (vocals, instrumental)
    for name in ("vocal_removal_info", "vocal_separation_info"):
        info = result[name]
        assert (info["vocal_url"], info["instrumental_url"]) == (vocals, instrumental)
        assert info["origin_data"] == result["origin_data"] == result["originData"]
    # Readers that find songs first must not take the stems for some.
    assert not result.keys() & {"data", "sunoData", "resultUrls", "response"}
    assert "originUrl" not in result and result["origin_url"] == ""


def test_the_result_of_a_single_instrument(shared: Server) -> None:
    task = shared.succeed(submit(shared, type="split_stem_advanced", stem_name="Bass Guitar"))
    bass, rest = urls(shared, task)
    (item,) = json.loads(record(shared, task.id)["resultJson"])["vocal_removal_info"]["origin_data"]
    assert (item["extract"]["audio_url"], item["remove"]["audio_url"]) == (bass, rest)
    assert item["extract"]["stem_type_group_name"] == item["remove"]["stem_type_group_name"] == "Bass Guitar"
    assert (item["audio_url"], item["stem_type_group_name"]) == (bass, "Bass Guitar")


def test_failed_and_cancelled(open_server: OpenServer) -> None:
    server = open_server()
    failed = server.fail(submit(server), 501, "It broke.")
    data = record(server, failed.id)
    assert (data["state"], data["failCode"], data["resultJson"]) == ("fail", "501", "")
    assert (data["failMsg"], data["creditsConsumed"]) == ("Vocal separation failed: It broke.", 0)
    unfetched = server.fail(submit(server, TO_WAV), 451, "It is gone.")
    data = record(server, unfetched.id)
    assert (data["failCode"], data["failMsg"]) == ("451", "WAV conversion failed: It is gone.")
    cancelled = server.service.tasks.cancel(failed.account_id, submit(server))
    assert record(server, cancelled.id)["state"] == "fail"


def test_a_wav(shared: Server) -> None:
    asked = song(shared)
    body = {"model": TO_WAV, "input": asked}
    task = shared.succeed(post(shared, body)["data"]["taskId"])
    (url,) = urls(shared, task)
    data = record(shared, task.id)
    assert (data["model"], data["creditsConsumed"]) == (TO_WAV, 0.4)
    assert json.loads(data["resultJson"]) == {"resultUrls": [url], "audioWavUrl": url}
    exists = {"code": 409, "msg": "WAV record already exists", "data": None}
    assert post(shared, body) == exists
    old = {"taskId": asked["task_id"], "audioId": asked["audio_id"], "callBackUrl": HOOK}
    assert shared.client.post("/api/v1/wav/generate", json=old).json() == exists
    data = shared.client.get("/api/v1/wav/record-info", params={"taskId": task.id}).json()["data"]
    assert data["response"] == {"audioWavUrl": url}


def test_tasks_of_other_routes_and_faces(shared: Server) -> None:
    track = shared.add_track()
    ids = {"taskId": track.task_id, "audioId": dashed(track.id)}
    old = shared.client.post("/api/v1/vocal-removal/generate", json=ids | {"type": "split_stem"}).json()
    data = record(shared, old["data"]["taskId"])
    asked = {"task_id": ids["taskId"], "audio_id": ids["audioId"], "type": "split_stem"}
    assert json.loads(data["param"]) == {"model": SEPARATE, "callBackUrl": None, "input": asked}
    own = shared.client.post("/v1/separations", json={"url": "https://files.example/a.mp3", "stems": "two"}).json()
    asked = {"audio_url": "https://files.example/a.mp3", "type": "separate_vocal"}
    assert json.loads(record(shared, own["id"])["param"])["input"] == asked


def test_an_address_in_place_of_the_ids_and_no_callback(shared: Server) -> None:
    asked = {"audio_url": "https://files.example/mix.wav", "type": "split_stem"}
    task = shared.task(post(shared, {"model": SEPARATE, "input": asked})["data"]["taskId"])
    assert (task.source_url, task.callback_url) == ("https://files.example/mix.wav", None)
    assert json.loads(record(shared, task.id)["param"]) == {"model": SEPARATE, "callBackUrl": None, "input": asked}


def test_names_of_the_old_routes_are_taken_while_lenient(open_server: OpenServer) -> None:
    for lenient in (True, False):
        server = open_server(lenient=lenient)
        track = server.add_track()
        asked = {"taskId": track.task_id, "audioId": dashed(track.id)}
        reply = post(server, {"model": SEPARATE, "input": asked})
        assert reply["code"] == (200 if lenient else 422)
        assert lenient or reply["msg"] == "task_id cannot be blank"


def test_strict_records_have_no_second_result_and_need_no_callback(open_server: OpenServer) -> None:
    server = open_server(lenient=False)
    task_id = post(server, {"model": SEPARATE, "input": song(server)})["data"]["taskId"]
    assert "response" not in record(server, server.succeed(task_id).id)
    refused = post(server, {"model": SEPARATE, "callBackUrl": "playground", "input": song(server)})
    assert refused["code"] == 422 and refused["msg"].startswith("callBackUrl must be a whole http://")


@pytest.mark.parametrize(
    ("body", "code", "message"),
    [
        ({"input": {}}, 422, "model cannot be blank"),
        ({"model": 7, "input": {}}, 422, "model must be a string"),
        ({"model": SEPARATE}, 422, "input cannot be blank"),
        ({"model": SEPARATE, "input": []}, 422, "input must be an object"),
        ({"model": SEPARATE, "input": {}}, 422, "task_id cannot be blank"),
        ({"model": TO_WAV, "input": {"task_id": "t"}}, 422, "audio_id cannot be blank"),
        ({"model": TO_WAV, "input": {"task_id": "t", "audio_id": "a"}}, 422, "Record does not exist"),
        (
            {"model": SEPARATE, "input": {"audio_url": HOOK, "task_id": "t"}},
            422,
            "audio_url replaces task_id and audio_id: send one or the other",
        ),
        (
            {"model": SEPARATE, "input": {"type": "split_stem_advanced", "stem_name": "Kick"}},
            422,
            "stem_name 'Kick' cannot be separated on its own: send 'Drum Kit' to get the whole group.",
        ),
        (
            {"model": "ai-music-api/extend", "input": {}},
            404,
            f"The model 'ai-music-api/extend' is not offered by this server, which has: {SEPARATE}, {TO_WAV}.",
        ),
    ],
)
def test_what_is_missing_or_wrong(shared: Server, body: object, code: int, message: str) -> None:
    assert post(shared, body) == {"code": code, "msg": message, "data": None}


@pytest.mark.parametrize("asked", ["1f9df680b0ad4c2bb0a8890d2e121f6f", "task_12345678"])
def test_an_unknown_task(shared: Server, asked: str) -> None:
    reply = shared.client.get(RECORD_INFO, params={"taskId": asked}).json()
    assert reply == {"code": 422, "msg": "recordInfo is null", "data": None}
    assert shared.client.get(RECORD_INFO).json()["msg"] == "taskId cannot be blank"


def test_nobody_sees_the_tasks_of_others(shared: Server) -> None:
    task_id = submit(shared)
    with shared.another() as bob:
        assert bob.get(RECORD_INFO, params={"taskId": task_id}).json()["msg"] == "recordInfo is null"


@pytest.mark.parametrize("model", [SEPARATE, TO_WAV])
def test_a_callback_is_the_record_with_what_the_old_routes_post(shared: Server, model: str) -> None:
    task = shared.succeed(submit(shared, model))
    body = kie.callback_body(shared.service, task)
    data = record(shared, task.id)
    assert body["code"] == 200 and data.items() <= body["data"].items()
    assert body["data"]["task_id"] == task.id
    first = urls(shared, task)[0]
    if model == TO_WAV:
        assert body["data"]["audioWavUrl"] == first
    else:
        assert body["data"]["vocal_removal_info"]["vocal_url"] == first
    failed = kie.callback_body(shared.service, shared.fail(submit(shared, model), 500, "It broke."))
    assert (failed["code"], failed["data"]["state"], failed["data"]["failCode"]) == (501, "fail", "501")


def test_all_else_is_the_vendors(open_server: OpenServer) -> None:
    with StandIn() as world:
        server = open_server(upstream_kie_key=KIE_KEY, upstream_kie_url=world.url)
        theirs = {"model": "ai-music-api/generate", "input": {"prompt": "la"}}
        post(server, theirs)
        assert [request.json for request in world.of(CREATE)] == [theirs]
        server.client.get(RECORD_INFO, params={"taskId": "task_12345678"})
        assert [request.query for request in world.of(RECORD_INFO)] == [{"taskId": "task_12345678"}]

        task_id = submit(server)
        assert record(server, task_id)["state"] == "waiting"
        with server.another() as bob:
            assert bob.get(RECORD_INFO, params={"taskId": task_id}).json()["code"] == 422
        assert (len(world.of(CREATE)), len(world.of(RECORD_INFO))) == (1, 1)

        made = world.add_task(Song(tone()), Song(tone()))
        asked = {"task_id": made.id, "audio_id": made.songs[0].id}
        assert post(server, {"model": SEPARATE, "input": asked})["code"] == 200  # looked up there, separated here
        assert len(world.of(CREATE)) == 1
        post(server, {"model": TO_WAV, "input": asked})  # kie has it without loss
        assert world.of(CREATE)[-1].json == {"model": TO_WAV, "input": asked}
