"""How the rows of crun's face are provoked."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from typing import Any
from unittest import mock

import httpx

from stemwright.errors import StorageError
from stemwright.storage.store import Store
from tests.api.codes import (
    BODIES,
    SECRET,
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

CLIENT = "/api/v1/client"
CREATE, INFO = f"{CLIENT}/job/CreateTask", f"{CLIENT}/job/TaskInfo"
ESTIMATE, LINKS = f"{CLIENT}/job/EstimateTask", f"{CLIENT}/files/upload-url"
READING = (
    ("GET", f"{INFO}?task_id={uuid.uuid4()}"),
    ("GET", f"{CLIENT}/account/balance"),
    ("GET", f"{CLIENT}/job/Models"),
    ("GET", f"{CLIENT}/job/Models/suno/vocal-separatio"),
    ("POST", ESTIMATE),
    ("POST", f"{CLIENT}/job/estimate-credits"),
)
WRITING = (("POST", CREATE), ("GET", LINKS))
MODEL = "suno/vocal-separatio"


def order(server: Server, **changes: Any) -> dict[str, Any]:
    """A good order, with changes; None leaves a field out, dots lead into ``input``."""
    task_id, suno_id = ids(server.add_track())
    input_: dict[str, Any] = {"task_id": task_id, "suno_id": suno_id}
    body: dict[str, Any] = {"model": MODEL, "input": input_}
    for name, value in changes.items():
        (body if name in ("model", "input", "callback_url") else input_)[name] = value
    return body


def post(server: Server, body: object, path: str = CREATE, client: httpx.Client | None = None) -> Outcome:
    return outcome(server, lambda: (client or server.client).post(path, json=body))


of_every_endpoint("crun", *READING, *WRITING, ("POST", f"{CLIENT}/anything"))


@provokes("crun", "CreateTask, upload-url", "key without write")
def cannot_write(stage: Stage) -> list[Outcome]:
    return scoped(stage, "read", *WRITING)


@provokes("crun", "every other endpoint", "key without read")
def cannot_read(stage: Stage) -> list[Outcome]:
    return scoped(stage, "write", *READING)


@provokes("crun", "every endpoint", "wrong method")
def wrong_method(stage: Stage) -> list[Outcome]:
    swapped = {"GET": "DELETE", "POST": "GET"}
    server = stage.server()
    return asking(
        server, server.client, *((swapped[method], path.split("?")[0]) for method, path in (*READING, *WRITING))
    )


@provokes("crun", "any other path under /api/v1/client/", "no vendor key")
def unknown_path(stage: Stage) -> list[Outcome]:
    server = stage.server()
    return asking(server, server.client, ("POST", f"{CLIENT}/job/suno-persona-generate"), ("GET", f"{CLIENT}/x"))


encoded("crun", CREATE, ESTIMATE)
for cause, content in BODIES.items():
    provokes("crun", "POST with JSON", cause)(sending(content, CREATE, ESTIMATE))
provokes("crun", "POST with JSON", "the body does not come within a minute")(dripping(CREATE, b"{"))


def ordering(changes: dict[str, Any], path: str = CREATE, **settings: Any) -> Callable[[Stage], Outcome]:
    """Provokes with an order that has these changes."""

    def send(stage: Stage) -> Outcome:
        server = stage.server(**settings)
        return post(server, order(server, **changes), path)

    return send


NO_IDS = {"task_id": None, "suno_id": None}
FIELDS: dict[str, dict[str, Any]] = {
    "model is missing or blank": {"model": None},
    "model is no string": {"model": 7},
    "another model, no vendor key": {"model": "suno/music-generate"},
    "input is missing or no object": {"input": []},
    "input.mode is neither of the two": {"mode": "karaoke"},
    "callback_url is no string": {"callback_url": 7},
    "callback_url is malformed": {"callback_url": "hook"},
    "input.task_id is missing or blank": {"task_id": None},
    "input.task_id is no string": {"task_id": 7},
    "input.suno_id is missing or blank": {"suno_id": ""},
    "input.suno_id is no string": {"suno_id": 7},
    "the ids are unknown": {"task_id": str(uuid.uuid4()), "suno_id": str(uuid.uuid4())},
    "input.suno_id is no id": {"suno_id": "bogus"},
    "input.audio_url is no string": {**NO_IDS, "audio_url": 7},
    "input.audio_url is malformed": {**NO_IDS, "audio_url": "mix.mp3"},
    "input.audio_url and ids": {"audio_url": "https://files.example/mix.mp3"},
}
for cause, changes in FIELDS.items():
    provokes("crun", "POST CreateTask", cause)(ordering(changes))
for cause in (
    "model is missing or blank",
    "another model, no vendor key",
    "input is missing or no object",
    "input.mode is neither of the two",
):
    provokes("crun", "POST EstimateTask", cause)(ordering(FIELDS[cause], ESTIMATE))
provokes("crun", "POST CreateTask", "the mode is switched off")(ordering({}, disabled="separate_vocal,vocal,v1"))


def offered(server: Server) -> dict[str, str]:
    """The two URLs of a new file."""
    reply = server.client.get(LINKS, params={"content_type": "audio/mpeg", "ext": ".mp3"}).json()
    return dict(reply["data"])


@provokes("crun", "POST CreateTask", "input.audio_url is of an upload that has not come")
def not_come(stage: Stage) -> Outcome:
    server = stage.server()
    return post(server, order(server, **NO_IDS, audio_url=offered(server)["file_url"]))


@provokes("crun", "POST CreateTask", "credits gone")
def credits_gone(stage: Stage) -> Outcome:
    server = stage.server()
    with server.another(credits_hundredths=9_99) as client:
        return post(server, order(server, **NO_IDS, audio_url="https://files.example/mix.mp3"), client=client)


def again(server: Server) -> Outcome:
    """The second of two orders."""
    server.client.post(CREATE, json=order(server))
    return post(server, order(server))


@provokes("crun", "POST CreateTask", "too fast")
def too_fast(stage: Stage) -> Outcome:
    return again(stage.server(rate_limit="1/600", native_rate_limit="1/600"))


@provokes("crun", "POST CreateTask", "too many under way")
def too_many(stage: Stage) -> Outcome:
    return again(stage.server(max_running=1))


@provokes("crun", "POST CreateTask", "maintenance")
def maintenance(stage: Stage) -> Outcome:
    server = stage.closed()
    return post(server, order(server))


def with_vendor(fault: Fault, send: Callable[[Server], Outcome]) -> Callable[[Stage], Outcome]:
    def provoke(stage: Stage) -> Outcome:
        server = stage.with_vendors(SHORT_S if fault == "silent" else PATIENCE_S)
        stage.world.break_with(fault)
        try:
            return send(server)
        finally:
            stage.world.break_with(None)

    return provoke


def look_up(server: Server) -> Outcome:
    return post(server, order(server, task_id=str(uuid.uuid4()), suno_id=str(uuid.uuid4())))


def pass_on(server: Server) -> Outcome:
    return post(server, {"model": "suno/music-generate"})


provokes("crun", "POST CreateTask", "the vendor is silent when asked for the song")(with_vendor("silent", look_up))
provokes("crun", "POST CreateTask", "the vendor fails when asked for the song")(with_vendor("failing", look_up))
provokes("crun", "what is passed to crun", "the vendor is silent")(with_vendor("silent", pass_on))


@provokes("crun", "what is passed to crun", "the vendor cannot be reached")
def unreachable(stage: Stage) -> Outcome:
    return pass_on(stage.server(upstream_crun_key="k", upstream_crun_url="http://127.0.0.1:1"))


def getting(endpoint: str, cause: str, *paths: str) -> None:
    @provokes("crun", endpoint, cause)
    def get(stage: Stage) -> list[Outcome]:
        server = stage.server()
        return asking(server, server.client, *(("GET", path) for path in paths))


getting("GET TaskInfo", "task_id is missing or blank", INFO, f"{INFO}?task_id=%20")
getting("GET TaskInfo", "the id is unknown", f"{INFO}?task_id={uuid.uuid4()}", f"{INFO}?task_id=bogus")
getting("GET Models/{model}", "another model, no vendor key", f"{CLIENT}/job/Models/suno/music-generate")
getting("GET upload-url", "content_type is missing or blank", LINKS, f"{LINKS}?ext=.mp3")
getting("GET upload-url", "content_type holds no sound, no vendor key", f"{LINKS}?content_type=image/png&ext=.png")
getting(
    "GET upload-url",
    "ext is missing or invalid",
    f"{LINKS}?content_type=audio/mpeg",
    f"{LINKS}?content_type=audio/mpeg&ext=/",
)

# --- ends of tasks


def ended(stage: Stage, how: str, *, called_back: bool) -> Outcome:
    """Makes a task and has it end; tells what TaskInfo, or the callback, says of that."""
    server = stage.server(max_upload_mb=1)
    changes: dict[str, Any] = {"callback_url": f"{stage.world.url}/hook/crun"}
    if how == "unfetched":
        changes |= NO_IDS | {"audio_url": f"{stage.world.url}/faults/status?code=404"}
    else:
        changes |= dict(zip(("task_id", "suno_id"), ids(bad_song(server)), strict=True))
    task_id = str(server.client.post(CREATE, json=order(server, **changes)).json()["data"]["task_id"])
    known = task_id.replace("-", "")
    if how == "cancelled":
        server.service.tasks.cancel(server.caller.account_id, known)
    else:
        stage.work(server, known)
    status = "–"
    if called_back:
        server.deliver()
        callback = next(one.json for one in stage.world.of("/hook/crun") if one.json.get("task_id") == task_id)
    else:
        reply = server.client.get(INFO, params={"task_id": task_id})
        status, callback = str(reply.status_code), reply.json()["data"]
    assert callback["status"] == "failed" and callback["result"]["media_info"] is None and callback["credits"] == 0
    return end(server, known, status, f"result.code {callback['result']['code']}", callback["result"]["message"])


for cause, how in (
    ("the song could not be fetched", "unfetched"),
    ("the separation failed", "failed"),
    ("the task was cancelled", "cancelled"),
):

    @provokes("crun", "GET TaskInfo", cause)
    def recorded(stage: Stage, how: str = how) -> Outcome:
        return ended(stage, how, called_back=False)

    @provokes("crun", "callback", cause)
    def called(stage: Stage, how: str = how) -> Outcome:
        return ended(stage, how, called_back=True)


# --- the PUT of a file


def put(
    server: Server, content: bytes | Iterator[bytes], *, url: str | None = None, kind: str = "audio/mpeg"
) -> Outcome:
    link = url or offered(server)["presigned_url"]
    return outcome(server, lambda: httpx.put(link, content=content, headers={"Content-Type": kind}))


PUTS: dict[str, Callable[[Stage], Outcome]] = {
    "the link was not given out here": lambda stage: put(stage.server(), b"sound", url=f"{stage.server().url}/p/x"),
    "no Content-Length": lambda stage: put(stage.server(), iter([b"sound"])),
    "the file is empty": lambda stage: put(stage.server(), b""),
    "another Content-Type than asked for": lambda stage: put(stage.server(), b"sound", kind="text/plain"),
    "the file is too large": lambda stage: put(stage.server(max_upload_mb=1), b"a" * 1_000_001),
}
for cause, putting in PUTS.items():
    provokes("crun", "PUT of a file", cause)(putting)


@provokes("crun", "PUT of a file", "the link has expired")
def expired(stage: Stage) -> Outcome:
    server = stage.server()
    upload = server.service.uploads.reserve(server.caller.account_id, "crun/late.mp3", "audio/mpeg")
    return put(server, b"sound", url=server.service.links.put_url(upload, -60))


@provokes("crun", "PUT of a file", "nothing can be stored")
def without_room(stage: Stage) -> Outcome:
    with mock.patch.object(Store, "writer", side_effect=StorageError(f"No room is left in {SECRET}.")):
        return put(stage.server(), b"sound")
