"""Converts records of the service to the schemas of our own API."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel
from starlette.responses import JSONResponse

from stemwright.api.native import schemas
from stemwright.service.ids import dashed
from stemwright.service.service import Service
from stemwright.service.task import Stem, Task
from stemwright.service.tracks import Track

MAX_PAGE = 100


def track_view(service: Service, track: Track) -> schemas.Track:
    """A track."""
    return schemas.Track(
        id=dashed(track.id),
        task_id=track.task_id,
        audio_id=dashed(track.id),
        title=track.title,
        origin=track.origin,  # type: ignore[arg-type]  # the table has no other values
        seconds=track.seconds,
        size_bytes=track.size_bytes,
        media_type=track.media_type,
        file_name=track.file_name,
        url=service.links.track_url(track) if track.blob else track.url,
        created_at=to_datetime(track.created_at),
        expires_at=to_datetime(track.expires_at),
    )


def separation_view(service: Service, task: Task) -> schemas.Separation:
    """A separation, created on any of the APIs."""
    facts = task.facts
    failed = task.state == "failed"
    return schemas.Separation(
        id=dashed(task.id),
        state=task.state,
        stage=task.stage,
        progress=task.progress,
        cancelling=task.cancel_requested and not task.has_ended,
        track_id=dashed(task.track_id),
        title=task.title,
        mode=task.stems_asked,
        playing=None if task.playing is None else list(task.playing),
        plan=task.plan,
        format=task.format,
        bit_depth=task.bit_depth,
        bitrate_kbps=task.bitrate_kbps,
        callback_url=task.callback_url,
        credits=task.price / 100,
        seconds=task.seconds,
        sample_rate=facts.get("sample_rate"),
        channels=facts.get("channels"),
        residual_db=facts.get("residual_db"),
        gain_db=facts.get("gain_db"),
        models=list(facts.get("models", ())),
        notes=list(facts.get("notes", ())),
        stems=[_stem_view(service, task, stem) for stem in task.stems],
        zip=f"/v1/separations/{dashed(task.id)}/stems.zip" if task.stems else None,
        error=schemas.Failure(code=task.error_code or 500, message=task.error_message or "") if failed else None,
        created_at=to_datetime(task.created_at),
        started_at=to_optional_datetime(task.started_at),
        ended_at=to_optional_datetime(task.ended_at),
        expires_at=to_datetime(task.expires_at),
    )


def _stem_view(service: Service, task: Task, stem: Stem) -> schemas.Stem:
    return schemas.Stem(
        id=dashed(stem.id),
        name=stem.name,
        url=service.links.stem_url(stem, task),
        format=stem.format,
        size_bytes=stem.size_bytes,
        seconds=stem.seconds,
        present=stem.present,
        presence=stem.presence,
        peak_dbfs=stem.peak_dbfs,
        rms_dbfs=stem.rms_dbfs,
    )


def to_datetime(seconds: float) -> datetime:
    """Seconds since 1970 as a UTC datetime."""
    return datetime.fromtimestamp(seconds, UTC)


def to_optional_datetime(seconds: float | None) -> datetime | None:
    """The same, or None."""
    return None if seconds is None else to_datetime(seconds)


def json_response(view: BaseModel, status: int = 200, headers: dict[str, str] | None = None) -> JSONResponse:
    """The JSON response with a view."""
    return JSONResponse(view.model_dump(mode="json"), status_code=status, headers=headers)


def request_body_schema(*models: type[BaseModel], form: dict[str, Any] | None = None) -> dict[str, Any]:
    """A request body for OpenAPI: the JSON of a model, and a form if the endpoint accepts one."""
    content: dict[str, Any] = {}
    if form is not None:
        content["multipart/form-data"] = {"schema": form}
    for model in models:
        content["application/json"] = {"schema": model.model_json_schema()}
    return {"requestBody": {"required": True, "content": content}}
