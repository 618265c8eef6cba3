"""crun.ai's face: tasks, credits, models, refusals (docs/contracts.md, sections 11 to 14)."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from stemwright.api.crun import routes as crun
from stemwright.service.ids import dashed, new_id
from stemwright.service.task import Submission, Task
from stemwright.wire_names import WIRE_NAMES
from tests.api.conftest import OpenServer, Server
from tests.stand_in import StandIn

CLIENT = "/api/v1/client"
CREATE = f"{CLIENT}/job/CreateTask"
INFO = f"{CLIENT}/job/TaskInfo"
TWELVE = {name.snake for name in WIRE_NAMES.values() if name.stem not in ("instrumental", "residual")}


def order(server: Server, **input_: Any) -> dict[str, Any]:
    """A body for CreateTask, on an uploaded song."""
    track = server.add_track()
    return {
        "model": "suno/vocal-separatio",
        "input": {"task_id": dashed(track.task_id), "suno_id": dashed(track.id), **input_},
    }


def data(reply: httpx.Response) -> dict[str, Any]:
    """The data of a good reply."""
    assert reply.status_code == 200, reply.text
    body = reply.json()
    assert body.keys() == {"code", "message", "data"} and (body["code"], body["message"]) == (200, "success")
    found = body["data"]
    assert isinstance(found, dict)
    return found


def create(server: Server, body: dict[str, Any]) -> str:
    """A new task's id as the reply has it."""
    made = data(server.client.post(CREATE, json=body))
    assert made.keys() == {"task_id"}
    task_id = made["task_id"]
    assert str(uuid.UUID(task_id)) == task_id
    return str(task_id)


def info(server: Server, task_id: str) -> dict[str, Any]:
    """The TaskInfo of a task, read as strictly as the strictest client known reads it."""
    record = data(server.client.get(INFO, params={"task_id": task_id}))
    read_strictly(record)
    return record


def read_strictly(record: dict[str, Any]) -> None:
    """What a client of crun's validates (docs/contracts.md, section 12)."""
    assert record["source"] == "api"
    assert all(isinstance(record[key], str) and record[key] for key in ("task_id", "provider", "model_version"))
    assert record["status"] in ("pending", "running", "success", "failed")
    assert isinstance(record["param"], dict)
    assert type(record["create_at"]) is int
    for key in ("duration_s", "complete_at"):
        assert record[key] is None or (type(record[key]) is int and record[key] >= 0)
    assert type(record["credits"]) in (int, float) and record["credits"] >= 0
    result = record["result"]
    assert (result is not None) == (record["status"] in ("success", "failed"))
    if result is not None:
        assert type(result["code"]) is int and isinstance(result["message"], str) and result["message"]


def refused(reply: httpx.Response, code: int, message: str | None = None) -> None:
    """A refusal's status is its code, and it has no data."""
    body = reply.json()
    assert (reply.status_code, body["code"], body["data"]) == (code, code, None), reply.text
    assert body.keys() == {"code", "message", "data"} and body["message"]
    if message is not None:
        assert body["message"] == message


@pytest.mark.parametrize(
    ("model", "mode"),
    [
        ("suno/vocal-separatio", "vocal"),
        ("suno/vocal-separatio", "instrumental"),
        ("suno/vocal-separation", None),
        ("suno/vocal-separation", "instrumental"),
    ],
)
def test_a_task_goes_its_way(server: Server, model: str, mode: str | None) -> None:
    body = order(server, **({"mode": mode} if mode else {})) | {"model": model}
    task_id = create(server, body)
    record = info(server, task_id)
    assert (record["task_id"], record["status"], record["result"]) == (task_id, "pending", None)
    assert record["param"] == {
        "model": model,
        "callback_url": None,
        "input": body["input"] | {"mode": mode or "vocal"},
    }
    lease = server.hold(uuid.UUID(task_id).hex)
    assert info(server, task_id)["status"] == "running"
    server.succeed(uuid.UUID(task_id).hex, lease=lease)
    record = info(server, task_id)
    assert record["status"] == "success" and record["complete_at"] >= record["create_at"]
    result = record["result"]
    assert result["code"] == 200 and "suno_data" not in result
    expected = TWELVE if mode == "instrumental" else {"vocal_url", "instrumental_url"}
    assert result["media_info"].keys() == expected
    assert sorted(result["media_urls"]) == sorted(result["media_info"].values())
    assert record["credits"] == (50 if mode == "instrumental" else 10)
    url = result["media_info"]["vocal_url"]
    assert url.startswith(server.url) and url.endswith("_Vocals.mp3")
    assert httpx.get(url, follow_redirects=True).content == server.mp3


def test_without_leniency_there_are_no_media_urls(open_server: OpenServer) -> None:
    server = open_server(lenient=False)
    task_id = create(server, order(server))
    server.succeed(uuid.UUID(task_id).hex)
    assert info(server, task_id)["result"].keys() == {"code", "message", "media_info"}


def test_a_failed_task_gives_its_credits_back(server: Server) -> None:
    server.service.ledger.grant("alice", 1500)
    for code, shown in ((500, 501), (501, 501), (451, 451)):
        task_id = create(server, order(server))
        assert data(server.client.get(f"{CLIENT}/account/balance")) == {"balance": 5}
        server.fail(uuid.UUID(task_id).hex, code, "It went wrong.")
        record = info(server, task_id)
        assert (record["status"], record["credits"]) == ("failed", 0)
        assert record["result"] == {"code": shown, "message": "It went wrong.", "media_info": None}
        assert data(server.client.get(f"{CLIENT}/account/balance")) == {"balance": 15}


def test_a_cancelled_task_has_failed(server: Server) -> None:
    task_id = create(server, order(server))
    server.service.tasks.cancel(server.caller.account_id, uuid.UUID(task_id).hex)
    record = info(server, task_id)
    assert record["status"] == "failed"
    assert record["result"] == {"code": 501, "message": "The task was cancelled.", "media_info": None}


def submit(server: Server, stems: str, *, source_url: str | None = None, face: str = "kie") -> Task:
    """A task of another face's."""
    track_id = None if source_url else server.add_track().id
    return server.service.tasks.submit(
        server.caller,
        Submission(
            face="kie" if face == "kie" else "native",
            kind="split_stem",
            stems=stems,
            plan="fast",
            format="mp3",
            track_id=track_id,
            source_url=source_url,
            callback_url="https://client.example/hook",
            request={"taskId": "not crun's", "type": "split_stem"},
        ),
    )


def test_a_task_of_kies_face_is_seen(server: Server) -> None:
    task = submit(server, "twelve")
    server.succeed(task.id)
    record = info(server, task.id)
    assert record == info(server, dashed(task.id)) == info(server, task.id.upper())
    track = server.service.tracks.get(task.account_id, task.track_id)
    assert track is not None
    assert record["task_id"] == dashed(task.id)
    assert record["param"] == {
        "model": "suno/vocal-separatio",
        "callback_url": "https://client.example/hook",
        "input": {"task_id": dashed(track.task_id), "suno_id": dashed(track.id), "mode": "instrumental"},
    }
    assert record["result"]["media_info"].keys() == TWELVE


def test_a_list_of_stems_is_seen(server: Server) -> None:
    task = submit(server, "drums,bass", source_url="https://songs.example/a.mp3", face="native")
    server.succeed(task.id)
    record = info(server, task.id)
    assert record["param"]["input"] == {
        "audio_url": "https://songs.example/a.mp3",
        "mode": "instrumental",
        "stems": ["drums", "bass"],
    }
    assert record["result"]["media_info"].keys() == {"drums_url", "bass_url"}
    assert len(record["result"]["media_urls"]) == 3  # and the rest, which no vendor has a key for


def test_a_task_is_seen_on_kies_face(server: Server) -> None:
    task_id = create(server, order(server))
    for spelling in (task_id, uuid.UUID(task_id).hex):
        seen = server.client.get("/api/v1/vocal-removal/record-info", params={"taskId": spelling}).json()
        assert seen["data"]["taskId"] == uuid.UUID(task_id).hex and seen["data"]["successFlag"] == "PENDING"


def test_ids_are_taken_in_both_spellings(server: Server) -> None:
    track = server.add_track()
    body = {"model": "suno/vocal-separatio", "input": {"task_id": track.task_id, "suno_id": track.id.upper()}}
    task = server.task(uuid.UUID(create(server, body)).hex)
    assert task.track_id == track.id


def test_an_uploaded_song_looks_like_a_generated_one(server: Server) -> None:
    track = server.add_track("My song")
    record = info(server, dashed(track.task_id))
    (song,) = record["result"]["suno_data"]
    assert (song["suno_id"], song["title"]) == (dashed(track.id), "My song")
    assert httpx.get(song["suno_audio_url"], follow_redirects=True).content == server.mp3
    body = {"model": "suno/vocal-separatio", "input": {"task_id": record["task_id"], "suno_id": song["suno_id"]}}
    create(server, body)


def test_a_stem_can_be_separated_again(server: Server) -> None:
    task_id = create(server, order(server))
    ended = server.succeed(uuid.UUID(task_id).hex)
    again = {"task_id": task_id, "suno_id": dashed(ended.stems[0].id), "mode": "instrumental"}
    create(server, {"model": "suno/vocal-separatio", "input": again})


@pytest.mark.parametrize("ends", ["well", "badly"])
def test_the_callback_is_the_data_of_task_info(server: Server, ends: str) -> None:
    with StandIn() as world:
        task_id = create(server, order(server) | {"callback_url": f"{world.url}/hook"})
        if ends == "well":
            server.succeed(uuid.UUID(task_id).hex)
        else:
            server.fail(uuid.UUID(task_id).hex, 500, "It went wrong.")
        assert server.deliver() == 1
        (received,) = world.of("/hook")
        assert received.method == "POST" and received.headers["content-type"].startswith("application/json")
        assert received.json == info(server, task_id)
        assert received.json == crun.callback_body(server.service, server.task(uuid.UUID(task_id).hex))


def test_a_callback_is_optional(server: Server) -> None:
    for callback_url in (None, "", "  "):
        task_id = create(server, order(server) | {"callback_url": callback_url})
        assert server.task(uuid.UUID(task_id).hex).callback_url is None


def test_a_song_by_url(server: Server) -> None:
    """Our own extension."""
    body = {"model": "suno/vocal-separatio", "input": {"audio_url": "https://songs.example/a.mp3"}}
    task_id = create(server, body)
    assert server.task(uuid.UUID(task_id).hex).source_url == "https://songs.example/a.mp3"
    assert info(server, task_id)["param"]["input"] == {"audio_url": "https://songs.example/a.mp3", "mode": "vocal"}


WRONG: list[tuple[dict[str, Any], str | None]] = [
    ({"model": None}, "model is required: suno/vocal-separatio separates a song."),
    ({"model": ""}, "model is required: suno/vocal-separatio separates a song."),
    ({"model": 7}, "model must be a string."),
    ({"input": None}, "input is required and must be an object."),
    ({"input": []}, "input is required and must be an object."),
    ({"input": {}}, "input.task_id is required."),
    ({"input": {"task_id": new_id()}}, "input.suno_id is required."),
    ({"input": {"suno_id": new_id()}}, "input.task_id is required."),
    ({"input": {"task_id": 1, "suno_id": new_id()}}, "input.task_id must be a string."),
    ({"input": {"task_id": new_id(), "suno_id": {}}}, "input.suno_id must be a string."),
    ({"input": {"task_id": new_id(), "suno_id": new_id()}}, "task_id not found"),
    ({"input": {"task_id": "d3", "suno_id": new_id()}}, "task_id not found"),
    ({"input": {"task_id": new_id(), "suno_id": "s1"}}, "suno_id not found"),
    ({"input": {"mode": "karaoke"}}, "input.mode must be one of: vocal, instrumental."),
    ({"input": {"mode": ["vocal"]}}, "input.mode must be one of: vocal, instrumental."),
    (
        {"input": {"task_id": new_id(), "audio_url": "https://songs.example/a.mp3"}},
        "input.audio_url replaces task_id and suno_id: send one or the other.",
    ),
    ({"input": {"audio_url": "no url"}}, None),
    ({"callback_url": "ftp://client.example"}, None),
    ({"callback_url": 7}, "callback_url must be a string."),
]


def test_a_wrong_field_is_named(server: Server) -> None:
    server.service.ledger.grant("alice", 1500)
    good = order(server)
    for change, message in WRONG:
        reply = server.client.post(CREATE, json=good | change)
        refused(reply, 422, message)
        if message is None:
            assert reply.json()["message"].startswith(next(iter(change)))
    assert data(server.client.get(f"{CLIENT}/account/balance")) == {"balance": 15}


def test_a_body_that_is_no_object(server: Server) -> None:
    for body in (b"", b"{", b"[]", b'"text"', b"\xff", b'{"model": NaN}', b"[" * 5000):
        for path in (CREATE, f"{CLIENT}/job/EstimateTask"):
            refused(server.client.post(path, content=body), 400)
    refused(server.client.post(CREATE, content=b'{"a":"' + b"a" * 1_000_000 + b'"}'), 413)


ROUTES = [
    ("POST", CREATE),
    ("GET", f"{INFO}?task_id={new_id()}"),
    ("GET", f"{CLIENT}/account/balance"),
    ("POST", f"{CLIENT}/job/EstimateTask"),
    ("POST", f"{CLIENT}/job/estimate-credits"),
    ("GET", f"{CLIENT}/job/Models"),
    ("GET", f"{CLIENT}/job/Models/suno/vocal-separatio"),
    ("GET", f"{CLIENT}/files/upload-url?content_type=audio/mpeg&ext=.mp3"),
    ("POST", f"{CLIENT}/job/suno-persona-generate"),
    ("DELETE", f"{CLIENT}/what/ever"),
]


def test_keys(server: Server) -> None:
    revoked = server.another(name="gone")
    server.service.keys.revoke("gone")
    wrong = httpx.Client(base_url=server.url, headers={"x-api-key": "sw_wrong"})
    with revoked, wrong, httpx.Client(base_url=server.url) as missing:
        for method, path in ROUTES:
            for client in (revoked, wrong, missing):
                refused(client.request(method, path), 401, "You do not have access permissions")
    with httpx.Client(base_url=server.url, headers={"x-api-key": server.key}) as client:
        for method, path in ROUTES:
            assert client.request(method, path).status_code != 401


def test_scopes(server: Server) -> None:
    task_id = create(server, order(server))
    with server.another(name="reader", account="alice", scopes=("read",)) as reader:
        refused(reader.post(CREATE, json=order(server)), 403)
        refused(reader.get(f"{CLIENT}/files/upload-url?content_type=audio/mpeg&ext=.mp3"), 403)
        refused(reader.post(f"{CLIENT}/job/suno-persona-generate"), 403)
        assert reader.get(INFO, params={"task_id": task_id}).status_code == 200
    with server.another(name="writer", account="alice", scopes=("write",)) as writer:
        refused(writer.get(INFO, params={"task_id": task_id}), 403)
        assert writer.post(CREATE, json=order(server)).status_code == 200


def test_an_unknown_task_is_a_404(server: Server) -> None:
    for unknown in (new_id(), dashed(new_id()), "ID/&?=+", "\0", "é" * 3000):
        refused(server.client.get(INFO, params={"task_id": unknown}), 404, "Task not found")
    for missing in ("", "   "):
        refused(server.client.get(INFO, params={"task_id": missing}), 422, "task_id is required.")


def test_nothing_of_another_account_is_seen(server: Server) -> None:
    body = order(server)
    task_id = create(server, body)
    with server.another() as bob:
        refused(bob.get(INFO, params={"task_id": task_id}), 404)
        refused(bob.get(INFO, params={"task_id": body["input"]["task_id"]}), 404)
        refused(bob.post(CREATE, json=body), 422, "task_id not found")


def test_credits_gone(server: Server) -> None:
    server.service.ledger.grant("alice", 999)
    refused(server.client.post(CREATE, json=order(server)), 402)
    assert data(server.client.get(f"{CLIENT}/account/balance")) == {"balance": 9.99}


def test_too_fast(open_server: OpenServer) -> None:
    server = open_server(rate_limit="2/600")
    body = order(server)
    create(server, body)
    create(server, body)
    reply = server.client.post(CREATE, json=body)
    refused(reply, 429)
    assert 1 <= int(reply.headers["Retry-After"]) <= 600


def test_too_many_under_way(open_server: OpenServer) -> None:
    server = open_server(max_running=1)
    create(server, order(server))
    reply = server.client.post(CREATE, json=order(server))
    refused(reply, 429)
    assert int(reply.headers["Retry-After"]) >= 1


def test_maintenance(server: Server) -> None:
    from stemwright.database import tables
    from stemwright.service.submissions import MAINTENANCE

    with server.service.database.write() as session:
        session.merge(tables.Fact(name=MAINTENANCE, value="on"))
    refused(server.client.post(CREATE, json=order(server)), 455)


def test_a_mode_that_is_switched_off(open_server: OpenServer) -> None:
    server = open_server(disabled="instrumental")
    refused(server.client.post(CREATE, json=order(server, mode="instrumental")), 505)
    create(server, order(server))


def test_what_only_the_vendor_has(server: Server) -> None:
    refused(server.client.post(CREATE, json={"model": "suno/music-generate", "input": {"prompt": "la"}}), 505)
    refused(server.client.post(f"{CLIENT}/job/EstimateTask", json={"model": "vidu/q1-f2v", "input": {}}), 505)
    refused(server.client.get(f"{CLIENT}/job/Models/vidu/q1-f2v"), 505)
    refused(server.client.post(f"{CLIENT}/job/suno-persona-generate", json={}), 505)
    reply = server.client.get(CREATE)
    refused(reply, 405, "This path takes POST only.")
    assert reply.headers["Allow"] == "POST"


def test_a_fault_is_a_500_without_a_traceback(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("a secret of the inside")

    monkeypatch.setattr(type(server.service.ledger), "balance", broken)
    reply = server.client.get(f"{CLIENT}/account/balance")
    refused(reply, 500)
    assert "secret" not in reply.text and "Traceback" not in reply.text


def test_estimates(server: Server) -> None:
    estimate = f"{CLIENT}/job/EstimateTask"
    body = order(server, mode="instrumental")
    assert data(server.client.post(estimate, json=body)) == {
        "estimated_credits": 50,
        "balance": 1_000_000,
        "affordable": True,
    }
    server.service.ledger.grant("alice", 1050)
    assert data(server.client.post(estimate, json=body)) == {
        "estimated_credits": 50,
        "balance": 10.5,
        "affordable": False,
    }
    body["input"]["mode"] = "vocal"
    assert data(server.client.post(estimate, json=body))["affordable"] is True
    older = data(server.client.post(f"{CLIENT}/job/estimate-credits", json=body))
    assert older == {"credits": 10, "estimated": True}
    refused(server.client.post(estimate, json={"input": {}}), 422)
    refused(server.client.post(estimate, json=body | {"input": {"mode": "x"}}), 422)


def test_models(server: Server) -> None:
    models = f"{CLIENT}/job/Models"
    (entry,) = data(server.client.get(models))["models"]
    assert (entry["model"], entry["operations"]) == ("suno/vocal-separatio", ["vocal-separation"])
    for query, count in (
        ({"modality": "audio", "operation": "vocal-separation"}, 1),
        ({"modality": "video"}, 0),
        ({"operation": "music-cover"}, 0),
    ):
        assert len(data(server.client.get(models, params=query))["models"]) == count
    for spelling in ("suno/vocal-separatio", "suno/vocal-separation"):
        described = data(server.client.get(f"{models}/{spelling}"))
        assert described["model"] == spelling
        assert described["input_schema"]["properties"].keys() == {"task_id", "suno_id", "mode", "audio_url"}
