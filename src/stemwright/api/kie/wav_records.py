"""kie's records of a WAV conversion: ``wav/record-info``, and the callback at its end (docs/contracts.md, section 5)."""

from __future__ import annotations

from typing import Any

from stemwright.api.kie.records import SOURCE_UNAVAILABLE, callback_url_of, failure_message, milliseconds, song_ids
from stemwright.service.service import Service
from stemwright.service.task import Task

FLAGS = {
    "pending": "PENDING",
    "running": "PENDING",
    "succeeded": "SUCCESS",
    "failed": "GENERATE_WAV_FAILED",
    "cancelled": "GENERATE_WAV_FAILED",
}

FAILED = "WAV conversion failed"


def wav_record(service: Service, task: Task) -> dict[str, Any]:
    """The ``data`` of ``wav/record-info``."""
    failed = task.has_ended and task.state != "succeeded"
    flag, url = FLAGS[task.state], wav_url(service, task)
    track = service.tracks.get(task.account_id, task.track_id)
    record = {
        "taskId": task.id,
        **song_ids(task, track),
        "callbackUrl": callback_url_of(task),
        "completeTime": None if task.ended_at is None else milliseconds(task.ended_at),
        "response": None if url is None else {"audioWavUrl": url},
        "successFlag": flag,
        "createTime": milliseconds(task.created_at),
        "errorCode": 500 if failed else None,
        "errorMessage": failure_message(service, task, FAILED) if failed else None,
    }
    if not service.settings.lenient:
        return record
    # Clients read these two here, though they are not documented.
    return record | {"status": flag, "audioWavUrl": url}


def wav_callback_body(service: Service, task: Task) -> dict[str, Any]:
    """The callback body when a conversion has ended."""
    track = service.tracks.get(task.account_id, task.track_id)
    data = {
        "audioWavUrl": wav_url(service, task),
        "task_id": task.id,
        "taskId": task.id,
        "successFlag": FLAGS[task.state],
        **song_ids(task, track),
    }
    if task.state == "succeeded":
        return {"code": 200, "msg": "success", "data": data}
    if task.error_code == SOURCE_UNAVAILABLE:
        return {"code": SOURCE_UNAVAILABLE, "msg": task.error_message or FAILED, "data": data}
    return {"code": 500, "msg": FAILED, "data": data}


def wav_url(service: Service, task: Task) -> str | None:
    """The link to the WAV; None until the task has succeeded."""
    return service.links.stem_url(task.stems[0], task) if task.state == "succeeded" else None
