"""kie's face: records of tasks, key by key."""

from __future__ import annotations

import httpx
import pytest

from stemwright.api.kie import routes as kie
from stemwright.service.ids import dashed
from tests.api.conftest import SECONDS, OpenServer, Server
from tests.api.kie import (
    GENERATE,
    GROUPS,
    HOOK,
    NOTHING,
    RECORD_INFO,
    URL_KEYS,
    origin_data,
    post,
    record,
    submit,
)
from tests.stand_in import KIE_KEY, Song, StandIn, tone


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
    data = record(shared, task.id)
    assert data["status"] == data["successFlag"] == "SUCCESS"
    vocals, instrumental = (shared.service.links.stem_url(stem, task) for stem in task.stems)
    info = {"origin_url": "", "vocal_url": vocals, "instrumental_url": instrumental}
    assert data["vocal_removal_info"] == info == kie.callback_body(shared.service, task)["data"]["vocal_removal_info"]
    failed = shared.fail(submit(shared), 500, "It broke.")
    assert record(shared, failed.id)["errorMessage"] == "Vocal separation failed: It broke."
    for waiting_or_failed in (submit(shared), failed.id):
        assert record(shared, waiting_or_failed)["vocal_removal_info"] is None
    one = shared.succeed(submit(shared, type="split_stem_advanced", stemName="Bass"))
    data = record(shared, one.id)
    assert data["vocal_removal_info"] == {"origin_url": "", "origin_data": data["response"]["originData"]}
    cancelled = shared.service.tasks.cancel(task.account_id, submit(shared))
    data = record(shared, cancelled.id)
    assert (data["status"], data["errorMessage"]) == (
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
    assert httpx.get(url, follow_redirects=True).content == shared.mp3


def test_the_second_song_of_a_task_has_index_1(open_server: OpenServer, world: StandIn) -> None:
    server = open_server(upstream_kie_key=KIE_KEY, upstream_kie_url=world.url)
    made = world.add_task(Song(tone()), Song(tone()))
    reply = post(server, {"taskId": made.id, "audioId": made.songs[1].id, "callBackUrl": HOOK})
    data = record(server, reply["data"]["taskId"])
    assert (data["musicId"], data["musicIndex"]) == (made.songs[1].id, 1)
