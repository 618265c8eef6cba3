"""Requests to kie's face, and what its answers hold."""

from __future__ import annotations

from typing import Any

from stemwright.service.ids import dashed
from stemwright.service.task import Task
from tests.api.conftest import SECONDS, Server

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

BOGUS = {"taskId": "bogus", "audioId": "bogus", "callBackUrl": "https://example.com/cb", "type": "separate_vocal"}


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
