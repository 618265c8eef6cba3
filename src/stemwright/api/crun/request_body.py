"""Parses the body of crun's CreateTask into a submission for the service."""

from __future__ import annotations

from typing import Any

from stemwright.api.crun.models import MODEL_NAMES, MODES
from stemwright.service.errors import InvalidRequest, RecordMissing
from stemwright.service.ids import parse_id
from stemwright.service.links import Links
from stemwright.service.ssrf_guard import check_syntax
from stemwright.service.task import Submission
from stemwright.service.task_sources import TaskSource, TaskSources
from stemwright.service.uploads import Uploads
from stemwright.settings import Settings


def read_model(body: dict[str, Any]) -> str:
    """The model in a body.

    Raises:
        InvalidRequest: it is missing.
    """
    model = _text(body, "model")
    if model is None:
        raise InvalidRequest("model", f"model is required: {MODEL_NAMES[0]} separates a song.")
    return model


def read_mode(body: dict[str, Any]) -> str:
    """The mode in a body; ``vocal`` if it is missing.

    Raises:
        InvalidRequest: there is no such mode, or ``input`` is not an object.
    """
    mode = _input(body).get("mode")
    if mode is None:
        return "vocal"
    if not isinstance(mode, str) or mode not in MODES:
        raise InvalidRequest("input.mode", f"input.mode must be one of: {', '.join(MODES)}.")
    return mode


def read_order(
    settings: Settings, sources: TaskSources, links: Links, uploads: Uploads, account_id: str, body: dict[str, Any]
) -> Submission:
    """The submission for a body. Finds the song in the store, or at the vendor if the operator has a key.

    Raises:
        InvalidRequest: a field is missing or wrong.
        RecordMissing: there is no song with these ids.
        UpstreamTimeout, SourceUnavailable: the vendor did not answer, or with an error.
    """
    mode = read_mode(body)
    callback_url = _text(body, "callback_url")
    if callback_url is not None:
        check_syntax(callback_url, "callback_url")
    source, named = _source(sources, links, uploads, account_id, _input(body))
    return Submission(
        face="crun",
        kind=mode,
        stems=MODES[mode],
        plan=settings.plan,
        format=settings.stem_format,
        track_id=source.track_id,
        source_url=source.url,
        song=source.song,
        callback_url=callback_url,
        request={"model": body["model"], "callback_url": callback_url, "input": named | {"mode": mode}},
    )


def _source(
    sources: TaskSources, links: Links, uploads: Uploads, account_id: str, fields: dict[str, Any]
) -> tuple[TaskSource, dict[str, str]]:
    """The song, and the fields of the body that name it."""
    task_id, suno_id, audio_url = (_text(fields, name, "input.") for name in ("task_id", "suno_id", "audio_url"))
    if audio_url is not None:
        if task_id is not None or suno_id is not None:
            raise InvalidRequest(
                "input.audio_url", "input.audio_url replaces task_id and suno_id: send one or the other."
            )
        check_syntax(audio_url, "input.audio_url")
        _check_upload_received(links, uploads, account_id, audio_url)
        return sources.by_url(account_id, audio_url), {"audio_url": audio_url}
    if task_id is None:
        raise InvalidRequest("input.task_id", "input.task_id is required.")
    if suno_id is None:
        raise InvalidRequest("input.suno_id", "input.suno_id is required.")
    task, song = parse_id(task_id), parse_id(suno_id)
    if task is None:
        raise RecordMissing("task_id not found")
    if song is None:
        raise RecordMissing("suno_id not found")
    try:
        return sources.by_ids(account_id, task, song), {"task_id": task_id, "suno_id": suno_id}
    except RecordMissing as error:
        raise RecordMissing("task_id not found") from error  # the vendor's words (docs/contracts.md, section 11)


def _check_upload_received(links: Links, uploads: Uploads, account_id: str, url: str) -> None:
    """Refuses the URL of a reserved upload whose file was not sent yet."""
    link = links.resolve(url)
    if link is None or link.kind not in ("upload", "put"):
        return
    upload = uploads.get(account_id, link.id)
    if upload is not None and upload.blob is None:
        raise InvalidRequest("input.audio_url", "input.audio_url has no file yet: PUT it to the presigned_url first.")


def _input(body: dict[str, Any]) -> dict[str, Any]:
    fields = body.get("input")
    if not isinstance(fields, dict):
        raise InvalidRequest("input", "input is required and must be an object.")
    return fields


def _text(fields: dict[str, Any], name: str, prefix: str = "") -> str | None:
    """The string in a field; None if it is missing, null or blank."""
    value = fields.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidRequest(prefix + name, f"{prefix}{name} must be a string.")
    return value.strip() or None
