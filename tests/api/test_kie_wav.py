"""``wav/generate`` and ``wav/record-info`` against their contract (docs/contracts.md, section 5)."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from stemwright.api.kie import routes as kie
from stemwright.service.ids import dashed
from stemwright.service.task import Task
from stemwright.service.tracks import Track
from tests.api.conftest import OpenServer, Server, starting
from tests.stand_in import KIE_KEY, Song, StandIn, tone

GENERATE = "/api/v1/wav/generate"
RECORD_INFO = "/api/v1/wav/record-info"
HOOK = "https://client.example/hook"
EXISTS = {"code": 409, "msg": "WAV record already exists", "data": None}


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory, mp3: bytes) -> Iterator[Server]:
    with starting(tmp_path_factory.mktemp("strict"), mp3) as start:
        yield start(lenient=False, rate_limit="0")


def post(server: Server, body: object, client: httpx.Client | None = None) -> dict[str, Any]:
    reply = (client or server.client).post(GENERATE, json=body)
    assert reply.status_code == 200
    return dict(reply.json())


def order(track: Track, **fields: object) -> dict[str, object]:
    return {"taskId": track.task_id, "audioId": dashed(track.id), "callBackUrl": HOOK, **fields}


def submit(server: Server, **fields: object) -> str:
    reply = post(server, order(server.add_track(), **fields))
    assert reply["code"] == 200, reply
    return str(reply["data"]["taskId"])


def record(server: Server, task_id: str, path: str = RECORD_INFO) -> Any:
    reply = server.client.get(path, params={"taskId": task_id}).json()
    assert (reply["code"], reply["msg"]) == (200, "success")
    return reply["data"]


def url_of(server: Server, task: Task) -> str:
    return server.service.links.stem_url(task.stems[0], task)


def test_pending_and_done(strict: Server) -> None:
    task_id = submit(strict)
    task = strict.task(task_id)
    waiting = {
        "taskId": task_id,
        "musicId": dashed(task.track_id),
        "callbackUrl": HOOK,
        "musicIndex": 0,
        "completeTime": None,
        "response": None,
        "successFlag": "PENDING",
        "createTime": round(task.created_at * 1000),
        "errorCode": None,
        "errorMessage": None,
    }
    assert record(strict, task_id) == waiting
    task = strict.succeed(task_id)
    assert task.ended_at is not None
    url = url_of(strict, task)
    assert url.endswith(f"/{dashed(task.stems[0].id)}_Song.wav")
    assert record(strict, task_id) == waiting | {
        "completeTime": round(task.ended_at * 1000),
        "response": {"audioWavUrl": url},
        "successFlag": "SUCCESS",
    }
    assert kie.callback_body(strict.service, task) == {
        "code": 200,
        "msg": "success",
        "data": {
            "audioWavUrl": url,
            "task_id": task_id,
            "taskId": task_id,
            "successFlag": "SUCCESS",
            "musicId": dashed(task.track_id),
            "musicIndex": 0,
        },
    }


@pytest.mark.parametrize(
    ("failed_with", "code", "words"), [(501, 500, "WAV conversion failed"), (451, 451, "It broke.")]
)
def test_failed(strict: Server, failed_with: int, code: int, words: str) -> None:
    task = strict.fail(submit(strict), failed_with, "It broke.")
    data = record(strict, task.id)
    assert (data["successFlag"], data["errorCode"]) == ("GENERATE_WAV_FAILED", 500)
    assert (data["errorMessage"], data["response"]) == ("WAV conversion failed", None)
    body = kie.callback_body(strict.service, task)
    assert (body["code"], body["msg"], body["data"]["audioWavUrl"]) == (code, words, None)


def test_what_lenience_adds(shared: Server) -> None:
    task = shared.succeed(submit(shared))
    data = record(shared, task.id)
    assert data["status"] == data["successFlag"] == "SUCCESS"
    assert data["audioWavUrl"] == data["response"]["audioWavUrl"] == url_of(shared, task)
    failed = shared.fail(submit(shared), 501, "It broke.")
    assert record(shared, failed.id)["errorMessage"] == "WAV conversion failed: It broke."
    assert post(shared, order(shared.add_track(), callBackUrl=None))["code"] == 200


def test_a_stem_is_converted_by_its_id(shared: Server) -> None:
    separated = shared.client.post(
        "/api/v1/vocal-removal/generate", json=order(shared.add_track(), type="split_stem")
    ).json()["data"]["taskId"]
    drums = shared.succeed(separated).stems[2]
    body = {"taskId": separated, "audioId": dashed(drums.id), "callBackUrl": HOOK}
    task = shared.succeed(post(shared, body)["data"]["taskId"])
    assert record(shared, task.id)["musicId"] == dashed(drums.id)
    assert record(shared, task.id)["response"]["audioWavUrl"].endswith(f"/{dashed(task.stems[0].id)}_Drums.wav")
    assert post(shared, body) == EXISTS


def test_a_second_order_for_the_same_audio(server: Server) -> None:
    server.service.ledger.grant("alice", 1_00)
    body = order(server.add_track())
    task_id = post(server, body)["data"]["taskId"]
    assert post(server, body) == EXISTS  # waiting
    lease = server.hold(task_id)
    assert post(server, body) == EXISTS  # under way
    server.fail(task_id, 501, "It broke.", lease=lease)
    again = post(server, body)["data"]["taskId"]  # a failure is no record
    server.succeed(again)
    assert post(server, body) == EXISTS
    server.service.tasks.delete(server.caller.account_id, again)
    assert post(server, body)["code"] == 200
    # Two of them stand, one was given back.
    assert server.client.get("/api/v1/chat/credit").json()["data"] == 0.2


def test_another_account_has_a_record_of_its_own(shared: Server) -> None:
    track = shared.add_track()
    assert post(shared, order(track))["code"] == 200
    with shared.another() as bob:
        assert post(shared, order(track), bob) == {"code": 422, "msg": "Record does not exist", "data": None}
        account = shared.service.keys.authenticate(bob.headers["authorization"].partition(" ")[2]).account_id
        own = shared.service.tracks.add_stored(account, shared.store(shared.mp3), title="own")
        task_id = post(shared, order(own), bob)["data"]["taskId"]
    assert record(shared, task_id) is None
    shared.service.tasks.cancel(account, task_id)


def test_price_and_refund(open_server: OpenServer) -> None:
    server = open_server(prices={"wav": 2.5})
    server.service.ledger.grant("alice", 4_00)
    task_id = submit(server)
    assert server.client.get("/api/v1/chat/credit").json()["data"] == 1.5
    short = {"code": 402, "msg": "The current credits are insufficient. Please top up.", "data": None}
    assert post(server, order(server.add_track())) == short
    server.fail(task_id, 501, "It broke.")
    assert server.client.get("/api/v1/chat/credit").json()["data"] == 4


def test_an_operator_may_switch_it_off(open_server: OpenServer) -> None:
    server = open_server(disabled="wav")
    reply = post(server, order(server.add_track()))
    assert (reply["code"], reply["msg"]) == (505, "wav is switched off on this server.")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"taskId": "bogus", "audioId": "bogus"}, "Record does not exist"),
        ({"taskId": uuid.uuid4().hex}, "Record does not exist"),
        ({"taskId": None}, "taskId cannot be blank"),
        ({"audioId": 7}, "audioId must be a string"),
        ({"callBackUrl": None}, "Please enter callBackUrl."),
    ],
)
def test_fields_that_are_missing_or_wrong(strict: Server, changes: dict[str, Any], message: str) -> None:
    assert post(strict, order(strict.add_track()) | changes) == {"code": 422, "msg": message, "data": None}


def test_records_of_one_kind_are_not_told_as_the_other(shared: Server) -> None:
    wav = submit(shared)
    separated = shared.client.post("/api/v1/vocal-removal/generate", json=order(shared.add_track())).json()
    assert record(shared, separated["data"]["taskId"]) is None
    assert record(shared, wav, "/api/v1/vocal-removal/record-info") is None
    assert record(shared, uuid.uuid4().hex) is record(shared, "bogus") is None


def test_other_faces_see_it(shared: Server) -> None:
    task = shared.succeed(submit(shared))
    url = url_of(shared, task)
    own = shared.client.get(f"/v1/separations/{task.id}").json()
    assert (own["state"], own["mode"], own["format"], own["credits"]) == ("succeeded", "wav", "wav", 0.4)
    assert [(stem["name"], stem["url"]) for stem in own["stems"]] == [("song", url)]
    assert shared.client.get(own["zip"]).status_code == 200
    crun = shared.client.get("/api/v1/client/job/TaskInfo", params={"task_id": task.id}).json()["data"]
    assert (crun["status"], crun["result"]["media_urls"]) == ("success", [url])
    assert crun["result"]["media_info"] == {"audio_wav_url": url}
    assert crun["param"]["input"]["suno_id"] == dashed(task.track_id)
    failed = shared.fail(submit(shared), 501, "It broke.")
    reply = shared.client.get("/api/v1/client/job/TaskInfo", params={"task_id": failed.id}).json()["data"]
    assert reply["result"]["message"] == "It broke."


def test_it_is_kept_as_long_as_every_task(open_server: OpenServer) -> None:
    now = [1_780_000_000.0]
    server = open_server(clock=lambda: now[0], retention_days=2)
    task = server.succeed(submit(server, callBackUrl=None))
    url = url_of(server, task)
    now[0] += 2 * 86_400 - 1
    server.service.retention.sweep()
    assert httpx.get(url, follow_redirects=True).content == server.mp3
    now[0] += 2
    assert server.service.retention.sweep().tasks == 1
    assert (httpx.get(url).status_code, record(server, task.id)) == (410, None)
    assert server.service.store.exists(task.stems[0].blob)  # for an hour yet
    now[0] += 4000
    server.service.retention.sweep()
    assert not server.service.store.exists(task.stems[0].blob)


def test_the_end_is_called_back(open_server: OpenServer) -> None:
    with StandIn() as world:
        server = open_server()
        task = server.succeed(submit(server, callBackUrl=f"{world.url}/hook/wav"))
        assert server.deliver() == 1
        callback = world.wait_for("/hook/wav")[0].json
    assert callback["data"]["audioWavUrl"] == url_of(server, task) and callback["data"]["task_id"] == task.id


def test_songs_of_kie_are_converted_at_kie(open_server: OpenServer) -> None:
    with StandIn() as world:
        server = open_server(upstream_kie_key=KIE_KEY, upstream_kie_url=world.url)
        made = world.add_task(Song(tone()), Song(tone()))
        theirs = {"taskId": made.id, "audioId": made.songs[0].id, "callBackUrl": HOOK}
        post(server, theirs)
        assert world.of(GENERATE)[-1].json == theirs
        server.client.post("/api/v1/vocal-removal/generate", json=theirs)  # from now on it is known here
        post(server, theirs)
        assert len(world.of(GENERATE)) == 2
        task_id = submit(server)  # a song of our own
        assert len(world.of(GENERATE)) == 2
        server.client.get(RECORD_INFO, params={"taskId": task_id})
        with server.another() as bob:
            bob.get(RECORD_INFO, params={"taskId": task_id})
            post(server, {"taskId": task_id, "audioId": str(uuid.uuid4())}, bob)
        assert world.of(RECORD_INFO) == [] and len(world.of(GENERATE)) == 2
        unknown = uuid.uuid4().hex
        server.client.get(RECORD_INFO, params={"taskId": unknown})
        assert [request.query for request in world.of(RECORD_INFO)] == [{"taskId": unknown}]
