"""crun's face with the operator's key: what is not served here is the vendor's."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest

from stemwright.service.ids import dashed, new_id
from tests.api.conftest import OpenServer, Server
from tests.api.test_crun import CLIENT, CREATE, INFO, create, data, info, order, refused
from tests.stand_in import CRUN_KEY, KIE_KEY, Song, StandIn, tone
from tests.waiting import PATIENCE_S


@pytest.fixture
def vendor() -> Iterator[StandIn]:
    with StandIn() as world:
        yield world


@pytest.fixture
def server(open_server: OpenServer, vendor: StandIn) -> Server:
    return open_server(upstream_crun_key=CRUN_KEY, upstream_crun_url=vendor.url, upstream_timeout_s=PATIENCE_S)


def test_generate_and_separate_on_one_address(server: Server, vendor: StandIn) -> None:
    body = {"model": "suno/music-generate", "input": {"prompt": "la"}}
    made = data(server.client.post(CREATE, json=body))["task_id"]
    (sent,) = vendor.of(CREATE)
    assert sent.json == body and sent.headers["x-api-key"] == CRUN_KEY
    assert server.key not in repr(sent)

    record = info_of_vendor(server, made)
    song = record["result"]["suno_data"][1]["suno_id"]
    separation = {"model": "suno/vocal-separatio", "input": {"task_id": made, "suno_id": song}}
    task_id = create(server, separation)
    assert len(vendor.of(CREATE)) == 1, "the separation is made here"
    task = server.task(uuid.UUID(task_id).hex)
    track = server.service.tracks.get(task.account_id, task.track_id)
    assert track is not None and (track.id, track.title) == (uuid.UUID(song).hex, "Second")
    # The vendor's own task is told of by the vendor, also when its songs are known here.
    assert info_of_vendor(server, made) == record
    asked = len(vendor.of(INFO))
    assert info(server, task_id)["status"] == "pending"
    assert len(vendor.of(INFO)) == asked, "a task of ours is nobody's business"


def info_of_vendor(server: Server, task_id: str) -> dict[str, Any]:
    return data(server.client.get(INFO, params={"task_id": task_id}))


def test_a_song_of_the_vendors_by_ids(server: Server, vendor: StandIn) -> None:
    song = Song(tone())
    made = vendor.add_task(song, crun=True)
    model = "suno/vocal-separation"
    create(server, {"model": model, "input": {"task_id": made.id, "suno_id": song.id, "mode": "instrumental"}})
    reply = server.client.post(CREATE, json={"model": model, "input": {"task_id": made.id, "suno_id": new_id()}})
    refused(reply, 422, "task_id not found")


def test_an_unknown_task_may_be_the_vendors(server: Server, vendor: StandIn) -> None:
    reply = server.client.get(INFO, params={"task_id": dashed(new_id())})
    refused(reply, 404, "task_id not found")  # in the vendor's words
    refused(server.client.get(INFO, params={"task_id": "odd-id"}), 404, "task_id not found")
    assert [request.query["task_id"] for request in vendor.of(INFO)][-1] == "odd-id"


def test_songs_of_the_other_vendor_are_told_of_here(open_server: OpenServer, vendor: StandIn) -> None:
    server = open_server(
        upstream_crun_key=CRUN_KEY, upstream_crun_url=vendor.url, upstream_kie_key=KIE_KEY, upstream_kie_url=vendor.url
    )
    songs = [Song(tone(), "First"), Song(tone(), "Second")]
    made = vendor.add_task(*songs)
    create(server, {"model": "suno/vocal-separatio", "input": {"task_id": made.id, "suno_id": songs[1].id}})
    asked = len(vendor.of(INFO))
    record = info(server, made.id)
    assert [song["suno_id"] for song in record["result"]["suno_data"]] == [song.id for song in songs]
    assert [song["title"] for song in record["result"]["suno_data"]] == ["First", "Second"]
    assert len(vendor.of(INFO)) == asked


def test_a_task_of_another_account_is_not_asked_for(server: Server, vendor: StandIn) -> None:
    task_id = create(server, order(server))
    with server.another() as bob:
        refused(bob.get(INFO, params={"task_id": task_id}), 404, "Task not found")
    assert vendor.of(INFO) == []


def test_everything_else_is_passed_on(server: Server, vendor: StandIn) -> None:
    for method, path in (
        ("POST", f"{CLIENT}/job/suno-persona-generate"),
        ("GET", f"{CLIENT}/job/Models"),
        ("GET", f"{CLIENT}/job/Models/vidu/q1-f2v"),
        ("GET", f"{CLIENT}/files/upload-url"),
        ("DELETE", f"{CLIENT}/what/ever"),
    ):
        server.client.request(method, path, params={"a": "b c"})
        (sent,) = vendor.of(path)
        assert (sent.method, sent.query) == (method, {"a": "b c"})
        assert sent.headers["x-api-key"] == CRUN_KEY and server.key not in repr(sent)
    estimate = f"{CLIENT}/job/EstimateTask"
    server.client.post(estimate, json={"model": "vidu/q1-f2v", "input": {}})
    (sent,) = vendor.of(estimate)
    assert sent.json == {"model": "vidu/q1-f2v", "input": {}}


def test_what_is_served_here_stays_here(server: Server, vendor: StandIn) -> None:
    assert data(server.client.get(f"{CLIENT}/account/balance")) == {"balance": 1_000_000}
    assert data(server.client.get(f"{CLIENT}/job/Models/suno/vocal-separatio"))["model"] == "suno/vocal-separatio"
    data(server.client.get(f"{CLIENT}/files/upload-url?content_type=audio/mpeg&ext=.mp3"))
    assert vendor.received == []


def test_nobody_gets_through_without_a_key(server: Server, vendor: StandIn) -> None:
    with server.another(name="reader", scopes=("read",)) as reader:
        refused(reader.post(CREATE, json={"model": "suno/music-generate", "input": {}}), 403)
        refused(reader.post(f"{CLIENT}/job/suno-persona-generate", json={}), 403)
        reader.headers["Authorization"] = "Bearer wrong"
        refused(reader.get(f"{CLIENT}/what/ever"), 401)
    assert vendor.received == []


def test_a_vendor_that_is_silent(open_server: OpenServer, vendor: StandIn) -> None:
    server = open_server(upstream_crun_key=CRUN_KEY, upstream_crun_url=vendor.url, upstream_timeout_s=0.3)
    vendor.break_with("silent")
    unknown = {"task_id": new_id(), "suno_id": new_id()}
    refused(server.client.post(CREATE, json={"model": "suno/vocal-separatio", "input": unknown}), 408)
    refused(server.client.post(CREATE, json={"model": "suno/music-generate", "input": {}}), 408)
    refused(server.client.get(INFO, params={"task_id": new_id()}), 408)


def test_a_vendor_that_fails(server: Server, vendor: StandIn) -> None:
    vendor.break_with("failing")
    unknown = {"task_id": new_id(), "suno_id": new_id()}
    refused(server.client.post(CREATE, json={"model": "suno/vocal-separatio", "input": unknown}), 451)
    assert server.client.get(INFO, params={"task_id": new_id()}).status_code == 500


def test_offline_there_is_no_vendor(open_server: OpenServer, vendor: StandIn) -> None:
    server = open_server(upstream_crun_key=CRUN_KEY, upstream_crun_url=vendor.url, offline=True)
    refused(server.client.post(CREATE, json={"model": "suno/music-generate", "input": {}}), 505)
    refused(server.client.get(INFO, params={"task_id": new_id()}), 404, "Task not found")
    assert vendor.received == []
