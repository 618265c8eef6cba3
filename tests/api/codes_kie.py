"""How the rows of kie's face are provoked."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import httpx

from tests.api.codes import (
    BODIES,
    SHORT_S,
    Outcome,
    Stage,
    asking,
    bad_song,
    dripping,
    encoded,
    end,
    ids,
    of_every_endpoint,
    outcome,
    provokes,
    scoped,
    sending,
)
from tests.api.conftest import Server
from tests.stand_in import Fault
from tests.waiting import PATIENCE_S

GENERATE = "/api/v1/vocal-removal/generate"
RECORD = "/api/v1/vocal-removal/record-info"
WAV, WAV_RECORD = "/api/v1/wav/generate", "/api/v1/wav/record-info"
JOB, JOB_RECORD = "/api/v1/jobs/createTask", "/api/v1/jobs/recordInfo"
SEPARATE, TO_WAV = "ai-music-api/separate-vocals", "ai-music-api/convert-to-wav-format"
SONGS = "/api/v1/generate/record-info"
DOWNLOAD = "/api/v1/common/download-url"
READING = (
    ("GET", f"{RECORD}?taskId={uuid.uuid4().hex}"),
    ("GET", f"{WAV_RECORD}?taskId={uuid.uuid4().hex}"),
    ("GET", f"{JOB_RECORD}?taskId={uuid.uuid4().hex}"),
    ("GET", f"{SONGS}?taskId={uuid.uuid4().hex}"),
    ("GET", "/api/v1/chat/credit"),
    ("GET", "/api/v1/generate/credit"),
)
WRITING = (("POST", GENERATE), ("POST", WAV), ("POST", JOB), ("POST", DOWNLOAD))
HOOK = "https://client.example/hook"


def order(server: Server, **changes: Any) -> dict[str, Any]:
    """A good order, with changes; None leaves a field out."""
    task_id, audio_id = ids(server.add_track())
    fields = {"taskId": task_id, "audioId": audio_id, "callBackUrl": HOOK, **changes}
    return {name: value for name, value in fields.items() if value is not None}


def post(server: Server, path: str, body: object, client: httpx.Client | None = None) -> Outcome:
    return outcome(server, lambda: (client or server.client).post(path, json=body))


of_every_endpoint("kie", *READING, *WRITING, ("POST", "/api/v1/anything"))


@provokes("kie", "POST of a task, and what is passed to kie by POST", "key without write")
def cannot_write(stage: Stage) -> list[Outcome]:
    ours = (("POST", path) for path in (GENERATE, WAV, JOB))
    return scoped(stage, "read", *ours, ("POST", "/api/v1/generate"), ("DELETE", "/api/v1/x"))


@provokes("kie", "every other endpoint", "key without read")
def cannot_read(stage: Stage) -> list[Outcome]:
    return scoped(stage, "write", *READING, ("POST", DOWNLOAD), ("GET", "/api/v1/x"))


@provokes("kie", "any other path under /api/", "no vendor key")
def unknown_path(stage: Stage) -> list[Outcome]:
    server = stage.server()
    return asking(server, server.client, ("POST", "/api/v1/mp4/generate"), ("GET", "/api/v2"))


@provokes("kie", "every endpoint", "wrong method")
def wrong_method(stage: Stage) -> list[Outcome]:
    server, swapped = stage.server(), {"GET": "POST", "POST": "GET"}
    wrong = ((swapped[method], path.split("?")[0]) for method, path in (*READING, *WRITING))
    return asking(server, server.client, *wrong)


for cause, content in BODIES.items():
    provokes("kie", "POST with JSON", cause)(sending(content, GENERATE, WAV, JOB, DOWNLOAD))
encoded("kie", GENERATE, WAV, JOB, DOWNLOAD)
provokes("kie", "POST with JSON", "the body does not come within a minute")(dripping(GENERATE, b"{"))


def ordering(changes: dict[str, Any], **settings: Any) -> Callable[[Stage], Outcome]:
    """Provokes with an order that has these changes."""

    def send(stage: Stage) -> Outcome:
        server = stage.server(**settings)
        return post(server, GENERATE, order(server, **changes))

    return send


ONE = {"type": "split_stem_advanced"}
BY_ADDRESS: dict[str, Any] = {"taskId": None, "audioId": None}
FIELDS: dict[str, dict[str, Any]] = {
    "type is no string": {"type": 7},
    "type is not one of the three": {"type": "karaoke"},
    "stemName is missing or blank": ONE,
    "stemName is no string": {**ONE, "stemName": ["Bass"]},
    "stemName is one of many in a stem": {**ONE, "stemName": "Kick"},
    "stemName is in no one stem": {**ONE, "stemName": "Banjo"},
    "stemName is not in kie's list": {**ONE, "stemName": "Kazoo"},
    "callBackUrl is no string": {"callBackUrl": 7},
    "callBackUrl is malformed": {"callBackUrl": "ftp://client.example/hook"},
    "taskId is missing or blank": {"taskId": " "},
    "taskId is no string": {"taskId": 7},
    "audioId is missing or blank": {"audioId": None},
    "audioId is no string": {"audioId": {}},
    "the ids are unknown": {"taskId": "bogus", "audioId": "bogus"},
    "audioUrl is no string": {**BY_ADDRESS, "audioUrl": 7},
    "audioUrl is malformed": {**BY_ADDRESS, "audioUrl": "ftp://files.example/mix.wav"},
    "audioUrl and ids": {"audioUrl": "https://files.example/mix.wav"},
}
for cause, changes in FIELDS.items():
    provokes("kie", "POST generate", cause)(ordering(changes))
provokes("kie", "POST generate", "callBackUrl is missing, STEMWRIGHT_LENIENT=false")(
    ordering({"callBackUrl": None}, lenient=False)
)
provokes("kie", "POST generate", "callBackUrl has no scheme, STEMWRIGHT_LENIENT=false")(
    ordering({"callBackUrl": "playground"}, lenient=False)
)
provokes("kie", "POST generate", "the type is switched off")(ordering({}, disabled="separate_vocal,vocal,v1"))


def poor(server: Server) -> Outcome:
    with server.another(credits_hundredths=9_99) as client:
        body = {"audioUrl": "https://files.example/mix.wav", "callBackUrl": HOOK}
        return post(server, GENERATE, body, client)


def again(server: Server) -> Outcome:
    """The second of two orders."""
    server.client.post(GENERATE, json=order(server))
    return post(server, GENERATE, order(server))


@provokes("kie", "POST generate", "credits gone")
def credits_gone(stage: Stage) -> Outcome:
    return poor(stage.server())


@provokes("kie", "POST generate", "too fast")
def too_fast(stage: Stage) -> Outcome:
    return again(stage.server(rate_limit="1/600", native_rate_limit="1/600"))


@provokes("kie", "POST generate", "too many under way")
def too_many(stage: Stage) -> Outcome:
    return again(stage.server(max_running=1))


@provokes("kie", "POST generate", "maintenance")
def maintenance(stage: Stage) -> Outcome:
    server = stage.closed()
    return post(server, GENERATE, order(server))


def looking_up(fault: Fault) -> Callable[[Stage], Outcome]:
    def send(stage: Stage) -> Outcome:
        server = stage.with_vendors(SHORT_S if fault == "silent" else PATIENCE_S)
        stage.world.break_with(fault)
        try:
            return post(server, GENERATE, order(server, taskId=uuid.uuid4().hex, audioId=str(uuid.uuid4())))
        finally:
            stage.world.break_with(None)

    return send


provokes("kie", "POST generate", "the vendor is silent when asked for the song")(looking_up("silent"))
provokes("kie", "POST generate", "the vendor fails when asked for the song")(looking_up("failing"))


@provokes("kie", "any other path under /api/", "the vendor is silent")
def silent(stage: Stage) -> Outcome:
    server = stage.with_vendors(SHORT_S)
    stage.world.break_with("silent")
    try:
        return outcome(server, lambda: server.client.post("/api/v1/generate", json={}))
    finally:
        stage.world.break_with(None)


@provokes("kie", "any other path under /api/", "the vendor cannot be reached")
def unreachable(stage: Stage) -> Outcome:
    server = stage.server(upstream_kie_key="k", upstream_kie_url="http://127.0.0.1:1")
    return outcome(server, lambda: server.client.post("/api/v1/generate", json={}))


for path, cause in ((RECORD, "GET record-info"), (SONGS, "GET generate/record-info")):

    @provokes("kie", cause, "taskId is missing or blank")
    def unasked(stage: Stage, path: str = path) -> list[Outcome]:
        server = stage.server()
        return asking(server, server.client, ("GET", path), ("GET", f"{path}?taskId=%20"))

    @provokes("kie", cause, "the id is unknown")
    def unknown(stage: Stage, path: str = path) -> list[Outcome]:
        server = stage.server()
        asked = ((f"{path}?taskId={one}") for one in (uuid.uuid4().hex, "bogus"))
        return asking(server, server.client, *(("GET", one) for one in asked))


for cause, url in (
    ("missing or blank", None),
    ("no string", 7),
    ("no file of yours here", "https://files.example/a.mp3"),
):

    @provokes("kie", "POST download-url", f"url is {cause}")
    def no_download(stage: Stage, url: object = url) -> Outcome:
        return post(stage.server(), DOWNLOAD, {"url": url})


# --- WAV, and the market's routes


WAV_FIELDS: dict[str, dict[str, Any]] = {
    "taskId or audioId is missing or blank": {"taskId": None},
    "taskId or audioId is no string": {"taskId": 7},
    "the ids are unknown": {"taskId": "bogus", "audioId": "bogus"},
    "callBackUrl is no string": {"callBackUrl": 7},
    "callBackUrl is malformed": {"callBackUrl": "ftp://client.example/hook"},
}
for cause, changes in WAV_FIELDS.items():

    @provokes("kie", "POST wav/generate", cause)
    def wrong_wav(stage: Stage, changes: dict[str, Any] = changes) -> Outcome:
        server = stage.server()
        return post(server, WAV, order(server, **changes))


@provokes("kie", "POST wav/generate", "callBackUrl is missing, STEMWRIGHT_LENIENT=false")
def wav_without_callback(stage: Stage) -> Outcome:
    server = stage.server(lenient=False)
    return post(server, WAV, order(server, callBackUrl=None))


@provokes("kie", "POST wav/generate, POST createTask", "there is a WAV of this audio, or one is on its way")
def second_wav(stage: Stage) -> list[Outcome]:
    server = stage.server()
    body = order(server)
    assert server.client.post(WAV, json=body).json()["code"] == 200
    job = {"model": TO_WAV, "input": {"task_id": body["taskId"], "audio_id": body["audioId"]}}
    return [post(server, WAV, body), post(server, JOB, job)]


@provokes("kie", "POST wav/generate, POST createTask", "credits gone")
def wav_too_dear(stage: Stage) -> list[Outcome]:
    server = stage.server(prices={"wav": 20_000.0})
    body = order(server)
    job = {"model": TO_WAV, "input": {"task_id": body["taskId"], "audio_id": body["audioId"]}}
    return [post(server, WAV, body), post(server, JOB, job)]


@provokes("kie", "POST wav/generate, POST createTask", "maintenance")
def wav_in_maintenance(stage: Stage) -> list[Outcome]:
    server = stage.closed()
    job = {"model": SEPARATE, "input": {"audio_url": "https://files.example/mix.wav"}}
    return [post(server, WAV, order(server)), post(server, JOB, job)]


@provokes("kie", "POST wav/generate, POST createTask", "too fast")
def wav_too_fast(stage: Stage) -> list[Outcome]:
    server = stage.server(rate_limit="1/600", native_rate_limit="1/600")
    server.client.post(GENERATE, json=order(server))
    job = {"model": SEPARATE, "input": {"audio_url": "https://files.example/mix.wav"}}
    return [post(server, WAV, order(server)), post(server, JOB, job)]


JOBS: dict[str, dict[str, Any]] = {
    "model is missing or blank": {"model": " "},
    "model is no string": {"model": 7},
    "the model is not ours, no vendor key": {"model": "ai-music-api/generate", "input": {}},
    "input is missing": {"model": SEPARATE},
    "input is no object": {"model": SEPARATE, "input": "mix.wav"},
    "a field of input is missing or blank": {"model": SEPARATE, "input": {"task_id": ""}},
    "a field of input is no string": {"model": TO_WAV, "input": {"task_id": 7}},
    "the ids are unknown": {"model": SEPARATE, "input": {"task_id": "bogus", "audio_id": "bogus"}},
}
for cause, job in JOBS.items():

    @provokes("kie", "POST createTask", cause)
    def wrong_job(stage: Stage, job: dict[str, Any] = job) -> Outcome:
        return post(stage.server(), JOB, job)


@provokes("kie", "GET wav/record-info, GET recordInfo", "taskId is missing or blank")
def no_id(stage: Stage) -> list[Outcome]:
    server = stage.server()
    return asking(server, server.client, ("GET", WAV_RECORD), ("GET", f"{JOB_RECORD}?taskId=%20"))


@provokes("kie", "GET wav/record-info", "the id is unknown")
def no_wav(stage: Stage) -> list[Outcome]:
    server = stage.server()
    asked = (f"{WAV_RECORD}?taskId={one}" for one in (uuid.uuid4().hex, "bogus"))
    return asking(server, server.client, *(("GET", one) for one in asked))


@provokes("kie", "GET recordInfo", "the id is unknown")
def no_job(stage: Stage) -> list[Outcome]:
    server = stage.server()
    asked = (f"{JOB_RECORD}?taskId={one}" for one in (uuid.uuid4().hex, "bogus"))
    return asking(server, server.client, *(("GET", one) for one in asked))


def bad_wav(stage: Stage, path: str, body: dict[str, Any]) -> tuple[Server, str]:
    """A conversion of what is no song, which has ended."""
    server = stage.server(max_upload_mb=1)
    task_id = str(server.client.post(path, json=body).json()["data"]["taskId"])
    stage.work(server, task_id)
    return server, task_id


@provokes("kie", "GET wav/record-info", "the conversion failed")
def wav_failed(stage: Stage) -> Outcome:
    song = bad_song(stage.server(max_upload_mb=1))
    body = dict(zip(("taskId", "audioId"), ids(song), strict=True))
    server, task_id = bad_wav(stage, WAV, body)
    reply = server.client.get(WAV_RECORD, params={"taskId": task_id}).json()["data"]
    return end(server, task_id, "200", f"errorCode {reply['errorCode']}", reply["errorMessage"])


@provokes("kie", "GET recordInfo", "the task failed")
def job_failed(stage: Stage) -> Outcome:
    song = bad_song(stage.server(max_upload_mb=1))
    asked = dict(zip(("task_id", "audio_id"), ids(song), strict=True))
    server, task_id = bad_wav(stage, JOB, {"model": SEPARATE, "input": asked})
    reply = server.client.get(JOB_RECORD, params={"taskId": task_id}).json()["data"]
    return end(server, task_id, "200", f"failCode {reply['failCode']}", reply["failMsg"])


@provokes("kie", "callback of a WAV", "the conversion failed")
def wav_failed_callback(stage: Stage) -> Outcome:
    song = bad_song(stage.server(max_upload_mb=1))
    body = dict(zip(("taskId", "audioId"), ids(song), strict=True))
    server, task_id = bad_wav(stage, WAV, body | {"callBackUrl": f"{stage.world.url}/hook/wav"})
    server.deliver()
    callback = next(one.json for one in stage.world.of("/hook/wav") if one.json["data"]["task_id"] == task_id)
    return end(server, task_id, "–", callback["code"], callback["msg"])


@provokes("kie", "callback of createTask", "the task failed")
def job_failed_callback(stage: Stage) -> Outcome:
    song = bad_song(stage.server(max_upload_mb=1))
    asked = dict(zip(("task_id", "audio_id"), ids(song), strict=True))
    job = {"model": SEPARATE, "callBackUrl": f"{stage.world.url}/hook/job", "input": asked}
    server, task_id = bad_wav(stage, JOB, job)
    server.deliver()
    callback = next(one.json for one in stage.world.of("/hook/job") if one.json["data"]["taskId"] == task_id)
    return end(server, task_id, "–", callback["code"], callback["msg"])


# --- ends of tasks


def ended(stage: Stage, how: str, kind: str, *, called_back: bool) -> Outcome:
    """Makes a task and has it end; tells what record-info, or the callback, says of that."""
    server = stage.server(max_upload_mb=1)
    hook = f"{stage.world.url}/hook/kie"
    changes: dict[str, Any] = {"type": kind, "stemName": "Bass", "callBackUrl": hook}
    if how == "unfetched":
        changes |= BY_ADDRESS | {"audioUrl": f"{stage.world.url}/faults/status?code=404"}
    else:
        changes |= dict(zip(("taskId", "audioId"), ids(bad_song(server)), strict=True))
    task_id = str(server.client.post(GENERATE, json=order(server, **changes)).json()["data"]["taskId"])
    if how == "cancelled":
        server.service.tasks.cancel(server.caller.account_id, task_id)
    else:
        stage.work(server, task_id)
    if called_back:
        server.deliver()
        callback = next(one.json for one in stage.world.of("/hook/kie") if one.json["data"]["task_id"] == task_id)
        assert callback["data"]["vocal_separation_info"] is None and callback["data"]["response"] is None
        return end(server, task_id, "–", callback["code"], callback["msg"])
    reply = server.client.get(RECORD, params={"taskId": task_id})
    callback = reply.json()["data"]
    assert reply.json()["code"] == 200 and callback["successFlag"] == "GENERATE_AUDIO_FAILED"
    return end(server, task_id, str(reply.status_code), f"errorCode {callback['errorCode']}", callback["errorMessage"])


for cause, how in (
    ("the song could not be fetched", "unfetched"),
    ("the separation failed", "failed"),
    ("the task was cancelled", "cancelled"),
):

    @provokes("kie", "GET record-info", cause)
    def recorded(stage: Stage, how: str = how) -> Outcome:
        return ended(stage, how, "separate_vocal", called_back=False)

    @provokes("kie", "callback", cause)
    def called(stage: Stage, how: str = how) -> Outcome:
        return ended(stage, how, "split_stem", called_back=True)


@provokes("kie", "callback", "the separation failed, split_stem_advanced")
def called_of_one(stage: Stage) -> Outcome:
    return ended(stage, "failed", "split_stem_advanced", called_back=True)


# --- the sister's dialect


SISTER: dict[str, Callable[[Server], Outcome]] = {
    "a field is missing or wrong": lambda server: post(server, GENERATE, order(server, type="karaoke")),
    "the ids are unknown": lambda server: post(server, GENERATE, order(server, taskId="bogus")),
    "credits gone": poor,
    "too fast": again,
    "wrong method": lambda server: outcome(server, lambda: server.client.get(GENERATE)),
}
for cause, sister in SISTER.items():

    @provokes("kie, dialect sunoapi", "POST generate", cause)
    def in_dialect(stage: Stage, sister: Callable[[Server], Outcome] = sister) -> Outcome:
        return sister(stage.server(dialect="sunoapi", rate_limit="1/600"))


@provokes("kie, dialect sunoapi", "POST generate", "too many under way")
def sister_too_many(stage: Stage) -> Outcome:
    return again(stage.server(dialect="sunoapi", max_running=1))


@provokes("kie, dialect sunoapi", "callback", "the separation failed")
def sister_failed(stage: Stage) -> Outcome:
    server = stage.server(dialect="sunoapi", max_running=10)
    task = server.client.post(GENERATE, json=order(server, callBackUrl=f"{stage.world.url}/hook/sister")).json()[
        "data"
    ]["taskId"]
    server.fail(task, 501, "It broke.")
    server.deliver()
    callback = next(one.json for one in stage.world.of("/hook/sister") if one.json["data"]["task_id"] == task)
    return end(server, task, "–", callback["code"], callback["msg"])
