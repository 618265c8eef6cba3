"""The market's routes, ``jobs/createTask`` and ``jobs/recordInfo``, for all models (docs/contracts.md, section 10).

Two of the models are served here. Tasks are the same as on the older routes, and can be read on either.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from stemwright.api.kie.fields import SNAKE_CASE, required_text
from stemwright.api.kie.records import (
    FAILED,
    SOURCE_UNAVAILABLE,
    callback_body,
    failure_message,
    milliseconds,
    separation_info,
    separation_response,
)
from stemwright.api.kie.request_body import OrderReader
from stemwright.api.kie.wav_records import FAILED as WAV_FAILED
from stemwright.api.kie.wav_records import wav_callback_body, wav_url
from stemwright.prices import in_credits
from stemwright.service.errors import InvalidRequest
from stemwright.service.ids import dashed
from stemwright.service.service import Service
from stemwright.service.task import Submission, Task
from stemwright.service.task_sources import TaskSources
from stemwright.settings import Settings

SEPARATE = "ai-music-api/separate-vocals"
TO_WAV = "ai-music-api/convert-to-wav-format"
MODELS = (SEPARATE, TO_WAV)

STATES = {
    "pending": "waiting",
    "running": "generating",
    "succeeded": "success",
    "failed": "fail",
    "cancelled": "fail",
}

FAIL_CODE = 501

_CAMEL = {"task_id": "taskId", "audio_id": "audioId", "audio_url": "audioUrl", "stem_name": "stemName"}
"""Names in ``input`` that clients of the older routes use."""


def read_model(body: dict[str, Any]) -> str:
    """The model in a body.

    Raises:
        InvalidRequest: it is missing.
    """
    return required_text(body, "model")


def read_job(settings: Settings, sources: TaskSources, account_id: str, body: dict[str, Any]) -> Submission:
    """The submission for a body with one of our two models.

    Raises:
        InvalidRequest: a field is missing or wrong.
        RecordMissing: there is no song with these ids.
        UpstreamTimeout, SourceUnavailable: the vendor did not answer, or with an error.
    """
    given = job_input(body, lenient=settings.lenient)
    fields = given | {"callBackUrl": body.get("callBackUrl")}
    reader = OrderReader(settings, sources, SNAKE_CASE, callback_required=False)
    read = reader.wav_conversion if read_model(body) == TO_WAV else reader.separation
    order = read(account_id, fields)
    kept = {name: given[name] for name in (*_CAMEL, "type") if isinstance(given.get(name), str)}
    return replace(order, request=(order.request or {}) | {"model": read_model(body), "input": kept})


def job_input(body: dict[str, Any], *, lenient: bool) -> dict[str, Any]:
    """The ``input`` of a body; if lenient, names in camelCase are accepted for those in snake_case.

    Raises:
        InvalidRequest: it is missing, or not an object.
    """
    given = body.get("input")
    if not isinstance(given, dict):
        raise InvalidRequest("input", "input cannot be blank" if given is None else "input must be an object")
    if not lenient:
        return given
    return given | {
        name: given[camel] for name, camel in _CAMEL.items() if given.get(name) is None and given.get(camel) is not None
    }


def is_job(task: Task) -> bool:
    """Whether a task was created on the market route."""
    return task.face == "kie" and "model" in task.request


def job_record(service: Service, task: Task) -> dict[str, Any]:
    """The ``data`` of ``jobs/recordInfo``, for a task of any of the APIs."""
    failed = task.has_ended and task.state != "succeeded"
    result = _result(service, task)
    began = task.created_at if task.started_at is None else task.started_at
    record = {
        "taskId": task.id,
        "model": TO_WAV if task.is_wav else SEPARATE,
        "state": STATES[task.state],
        "param": json.dumps(_param(service, task), ensure_ascii=False),
        "resultJson": "" if result is None else json.dumps(result, ensure_ascii=False),
        "failCode": str(_fail_code(task)) if failed else None,
        "failMsg": failure_message(service, task, WAV_FAILED if task.is_wav else FAILED) if failed else None,
        "costTime": None if task.ended_at is None else max(0, milliseconds(task.ended_at - began)),
        "completeTime": None if task.ended_at is None else milliseconds(task.ended_at),
        "createTime": milliseconds(task.created_at),
        "updateTime": milliseconds(task.ended_at or task.started_at or task.created_at),
        "creditsConsumed": in_credits(task.price) if task.state == "succeeded" else 0,
    }
    # The real service also sends the result as an object, which is not documented.
    return record | {"response": result} if service.settings.lenient else record


def job_callback_body(service: Service, task: Task) -> dict[str, Any]:
    """The callback body of such a task: its record, and all that the older routes post."""
    old = wav_callback_body(service, task) if task.is_wav else callback_body(service, task)
    data = old["data"] | job_record(service, task)
    if task.state == "succeeded":
        return {"code": 200, "msg": old["msg"], "data": data}
    return {"code": _fail_code(task), "msg": old["msg"], "data": data}


def _fail_code(task: Task) -> int:
    return SOURCE_UNAVAILABLE if task.error_code == SOURCE_UNAVAILABLE else FAIL_CODE


def _result(service: Service, task: Task) -> dict[str, Any] | None:
    """The result in all known layouts, since the vendor does not document it (docs/contracts.md, section 10)."""
    if task.state != "succeeded":
        return None
    if task.is_wav:
        url = wav_url(service, task)
        return {"resultUrls": [url], "audioWavUrl": url}
    track = service.tracks.get(task.account_id, task.track_id)
    response = separation_response(service, task, track)
    assert response is not None
    # For split_stem_advanced: the instrument as a flat item, for clients that read a list, with extract and remove.
    items = [item | item["extract"] if "extract" in item else item for item in response["originData"]]
    info = separation_info(service, task, track) | {"origin_data": items}
    camel = {key: value for key, value in response.items() if value is not None and key != "originData"}
    return info | camel | {"originData": items, "vocal_removal_info": info, "vocal_separation_info": info}


def _param(service: Service, task: Task) -> dict[str, Any]:
    """The parameters of the request; for a task of another route, those that create the same task here."""
    if is_job(task):
        request = task.request
        return {"model": request["model"], "callBackUrl": request.get("callBackUrl"), "input": request["input"]}
    song: dict[str, Any] = {"audio_url": task.source_url}
    if task.source_url is None:
        track = service.tracks.get(task.account_id, task.track_id)
        song = {"task_id": track.task_id if track else None, "audio_id": dashed(task.track_id)}
        named = {name: task.request.get(camel) for name, camel in _CAMEL.items()} if task.face == "kie" else {}
        song |= {name: value for name, value in named.items() if isinstance(value, str)}
    if not task.is_wav:
        song["type"] = (
            task.kind if task.face == "kie" else "separate_vocal" if task.stems_asked == "two" else "split_stem"
        )
    model = TO_WAV if task.is_wav else SEPARATE
    return {"model": model, "callBackUrl": task.callback_url, "input": song}
