"""kie's face: imported songs, download links, and what goes to the vendor."""

from __future__ import annotations

import json
import re
import uuid
from typing import Any

import httpx
import pytest

from stemwright.api.kie import routes as kie
from stemwright.service.ids import dashed, new_id
from stemwright.service.tracks import VendorTrack
from tests.api.conftest import SECONDS, OpenServer, Server
from tests.api.kie import (
    GENERATE,
    HOOK,
    NOTHING,
    post,
    record,
    refused,
    submit,
)
from tests.stand_in import KIE_KEY, StandIn
from tests.waiting import PATIENCE_S


def test_an_imported_song_looks_generated(shared: Server) -> None:
    track = shared.add_track("My mix")
    url = shared.service.links.track_url(track)
    data = record(shared, track.task_id, "/api/v1/generate/record-info")
    created = data["response"]["sunoData"][0].pop("createTime")
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", created)
    assert json.loads(data.pop("param")) == {"title": "My mix"}
    assert data == {
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
    assert httpx.get(reply["data"], follow_redirects=True).content == server.mp3
    now[0] += 20 * 60 - 1
    assert httpx.get(reply["data"], follow_redirects=True).status_code == 200
    now[0] += 2
    assert httpx.get(reply["data"]).status_code == 410
    assert httpx.get(url, follow_redirects=True).status_code == 200


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
    data = record(server, made, "/api/v1/generate/record-info")
    assert [song["title"] for song in data["response"]["sunoData"]] == ["First", "Second"]
    audio_id = data["response"]["sunoData"][0]["id"]
    task_id = post(server, {"taskId": made, "audioId": audio_id, "callBackUrl": HOOK})["data"]["taskId"]
    assert record(server, task_id)["musicId"] == audio_id
    # The vendor still tells of its own song, now that it is known here; and never of what is ours.
    assert record(server, made, "/api/v1/generate/record-info") == data
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
    data = record(server, task_id, "/api/v1/generate/record-info")["response"]["sunoData"][0]
    assert (data["id"], data["audioUrl"], data["title"]) == (dashed(song.audio_id), song.url, "Theirs")
    assert world.received == []


def test_openapi_tells_how_to_ask(shared: Server) -> None:
    reply = shared.client.get("/openapi.json").json()
    places = reply["components"]["securitySchemes"]
    for path, method in kie.METHODS.items():
        endpoint = reply["paths"][path][method.lower()]
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
    limit_s = 0.3 if fault == "silent" else PATIENCE_S
    server = open_server(upstream_kie_key=KIE_KEY, upstream_kie_url=world.url, upstream_timeout_s=limit_s)
    world.break_with(fault)
    body = {"taskId": uuid.uuid4().hex, "audioId": str(uuid.uuid4()), "callBackUrl": HOOK}
    assert refused(server, body)[0] == code
    world.break_with(None)
    server.service.upstream._timeout_s = PATIENCE_S
    assert refused(server, body) == (422, "Record does not exist")
