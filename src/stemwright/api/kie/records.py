"""kie's records of a task: ``record-info``, and the callback at its end (docs/contracts.md, sections 3 and 4)."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from stemwright.api.kie.request_body import ADVANCED
from stemwright.service.ids import dashed, parse_id
from stemwright.service.service import Service
from stemwright.service.task import Stem, Task
from stemwright.service.tracks import Track
from stemwright.wire_names import WIRE_NAMES, wire_name

FLAGS = {
    "pending": "PENDING",
    "running": "PENDING",
    "succeeded": "SUCCESS",
    "failed": "GENERATE_AUDIO_FAILED",
    "cancelled": "GENERATE_AUDIO_FAILED",  # kie has no other state for this
}

FAILED = "Vocal separation failed"
SOURCE_UNAVAILABLE = 451

# "pianoUrl" is always null at the vendor: pianos are in keyboardUrl (docs/contracts.md, section 3).
PIANO_KEY = "pianoUrl"


def task_record(service: Service, task: Task) -> dict[str, Any]:
    """The ``data`` of ``vocal-removal/record-info``, for a task of any of the APIs."""
    failed = task.has_ended and task.state != "succeeded"
    flag = FLAGS[task.state]
    track = service.tracks.get(task.account_id, task.track_id)
    record = {
        "taskId": task.id,
        **song_ids(task, track),
        "callbackUrl": callback_url_of(task),
        "completeTime": None if task.ended_at is None else milliseconds(task.ended_at),
        "response": separation_response(service, task, track),
        "successFlag": flag,
        "createTime": milliseconds(task.created_at),
        "errorCode": 500 if failed else None,
        "errorMessage": failure_message(service, task) if failed else None,
    }
    if not service.settings.lenient:
        return record
    # Clients read these two, which are not documented here (docs/contracts.md, section 16).
    info = separation_info(service, task, track) if task.state == "succeeded" else None
    return record | {"status": flag, "vocal_removal_info": info}


def callback_body(service: Service, task: Task) -> dict[str, Any]:
    """The callback body, in all known forms (docs/contracts.md, section 4.5)."""
    is_sunoapi = service.settings.dialect == "sunoapi"
    succeeded = task.state == "succeeded"
    track = service.tracks.get(task.account_id, task.track_id)
    info = separation_info(service, task, track) if succeeded else None
    data: dict[str, Any] = {"task_id": task.id, "taskId": task.id}
    if not is_sunoapi:
        data["vocal_separation_info"] = info
    data |= {
        "vocal_removal_info": info,
        "response": separation_response(service, task, track),
        "successFlag": FLAGS[task.state],
        **song_ids(task, track),
    }
    if succeeded:
        separated = "vocal Removal" if is_sunoapi or task.kind == ADVANCED else "vocal separation"
        return {"code": 200, "msg": f"{separated} generated successfully.", "data": data}
    if task.error_code == SOURCE_UNAVAILABLE:
        return {"code": SOURCE_UNAVAILABLE, "msg": task.error_message or FAILED, "data": data}
    code = 400 if is_sunoapi else 501 if task.kind == ADVANCED else 500
    return {"code": code, "msg": FAILED, "data": data}


def song_record(service: Service, task_id: str, tracks: Sequence[Track]) -> dict[str, Any]:
    """``data`` of ``generate/record-info`` for uploads, like generated songs (docs/contracts.md, section 9)."""
    return {
        "taskId": task_id,
        "parentMusicId": "",
        "param": json.dumps({"title": tracks[0].title}, ensure_ascii=False),
        "response": {"taskId": task_id, "sunoData": [_suno_data(service, track) for track in tracks]},
        "status": "SUCCESS",
        "type": "GENERATE",
        "operationType": "upload_cover",
        "errorCode": None,
        "errorMessage": None,
    }


def was_made_by_kie(track: Track) -> bool:
    """Whether kie generated this song. Songs from crun have other keys in ``details``."""
    return track.origin == "vendor" and "audioUrl" in track.details


def milliseconds(moment: float) -> int:
    """A time in seconds as the vendor's milliseconds."""
    return round(moment * 1000)


def callback_url_of(task: Task) -> str:
    """The callback URL as the client sent it, even if nothing is posted there."""
    sent = task.request.get("callBackUrl") if task.face == "kie" else None
    return task.callback_url or (sent if isinstance(sent, str) else "")


def song_ids(task: Task, track: Track | None) -> dict[str, Any]:
    """The id of the song as in the request, and its index in its task."""
    named = parse_id(task.request.get("audioId")) if task.face == "kie" else None
    return {"musicId": dashed(named or task.track_id), "musicIndex": track.position if track else 0}


def separation_response(service: Service, task: Task, track: Track | None) -> dict[str, Any] | None:
    """The stems by kie's keys in camelCase, unused ones null; None until the task has succeeded."""
    if task.state != "succeeded":
        return None
    data = [_origin_data(service, task, stem) for stem in task.stems]
    advanced = task.kind == ADVANCED
    response: dict[str, Any] = {
        "id": None,
        "originUrl": _origin_url(service, track),
        "originData": [_extract_and_remove(data)] if advanced else data,
    }
    for name in WIRE_NAMES.values():
        if name.camel is not None:
            response[name.camel] = None
        if name.stem == "guitar":
            response[PIANO_KEY] = None
    if not advanced:
        for stem in task.stems:
            if (key := wire_name(stem.name).camel) is not None:
                response[key] = service.links.stem_url(stem, task)
    return response


def separation_info(service: Service, task: Task, track: Track | None) -> dict[str, Any]:
    """The stems by kie's keys in snake_case, for a task that has succeeded."""
    info: dict[str, Any] = {"origin_url": _origin_url(service, track) or ""}
    if task.kind == ADVANCED:
        data = [_origin_data(service, task, stem) for stem in task.stems]
        return info | {"origin_data": [_extract_and_remove(data)]}
    urls = {wire_name(stem.name).snake: service.links.stem_url(stem, task) for stem in task.stems}
    return info | {key: url for key, url in urls.items() if key is not None}


def _origin_data(service: Service, task: Task, stem: Stem) -> dict[str, Any]:
    return {
        "duration": round(stem.seconds, 3),
        "audio_url": service.links.stem_url(stem, task),
        "stem_type_group_name": task.stem_name if task.kind == ADVANCED else wire_name(stem.name).group,
        "id": dashed(stem.id),
    }


def _extract_and_remove(data: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The two stems of ``split_stem_advanced``: the instrument, and the song without it."""
    extract, remove = data
    return {"extract": extract, "remove": remove}


def _origin_url(service: Service, track: Track | None) -> str | None:
    """The mix, for sunoapi.org only. At kie it is null, and clients treat every URL of a response as a stem."""
    if service.settings.dialect != "sunoapi" or track is None or track.blob is None:
        return None
    return service.links.track_url(track)


def failure_message(service: Service, task: Task, failed: str = FAILED) -> str:
    """Why a task failed; if the server is not lenient, only that it failed."""
    detail = "the task was cancelled." if task.state == "cancelled" else task.error_message
    return f"{failed}: {detail}" if service.settings.lenient and detail else failed


def _suno_data(service: Service, track: Track) -> dict[str, Any]:
    url = service.links.track_url(track) if track.blob is not None else track.url
    texts = {key: track.details.get(key) for key in ("imageUrl", "prompt", "tags")}
    return {
        "id": dashed(track.id),
        "audioUrl": url,
        "streamAudioUrl": url,
        **{key: value if isinstance(value, str) else "" for key, value in texts.items()},
        "modelName": "imported",
        "title": track.title,
        "createTime": datetime.fromtimestamp(track.created_at, UTC).strftime("%Y-%m-%d %H:%M:%S"),
        "duration": track.seconds,
    }
