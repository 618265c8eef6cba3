"""Bodies of ``vocal-removal/generate``, read into what the service takes (docs/contracts.md, section 2)."""

from __future__ import annotations

import re
from typing import Any

from stemwright.api.kie.instruments import stem_of
from stemwright.service.errors import InvalidRequest, RecordMissing
from stemwright.service.guard import MAX_URL_LENGTH, check_syntax
from stemwright.service.ids import parse_id
from stemwright.service.service import Service
from stemwright.service.sources import MISSING, Source
from stemwright.service.task import Submission

ADVANCED = "split_stem_advanced"
_SCHEME = re.compile(r"https?:|[a-z][a-z0-9+.-]*://", re.IGNORECASE)

TYPES = {"separate_vocal": "two", "split_stem": "twelve", ADVANCED: "one"}


def read_order(service: Service, account_id: str, body: dict[str, Any]) -> Submission:
    """What a body asks for. Looks for its song in the store, and at the vendor where the operator has a key.

    Raises:
        InvalidRequest: a field is missing or wrong.
        RecordMissing: the ids lead to no song.
        UpstreamSilent, SourceUnavailable: the vendor did not answer, or not well.
    """
    kind = text(body, "type") or "separate_vocal"
    if kind not in TYPES:
        raise InvalidRequest("type", f"type must be one of: {', '.join(TYPES)}")
    stems, stem_name = TYPES[kind], None
    if kind == ADVANCED:
        stem_name = _needed(body, "stemName")
        stems = stem_of(stem_name)
    callback_url = read_callback_url(body, lenient=service.settings.lenient)
    source, named = _source(service, account_id, body)
    return Submission(
        face="kie",
        kind=kind,
        stems=stems,
        plan=service.settings.plan,
        format=service.settings.stem_format,
        track_id=source.track_id,
        source_url=source.url,
        song=source.song,
        callback_url=callback_url,
        request=named | {"type": kind, "stemName": stem_name, "callBackUrl": text(body, "callBackUrl")},
        stem_name=stem_name,
    )


def read_callback_url(body: dict[str, Any], *, lenient: bool) -> str | None:
    """Where the end of a task is told; None where the client polls only.

    The vendor's own playground sends ``"playground"``, and clients copy that (docs/contracts.md, section 16). While
    lenient, a value without a scheme means that nothing is posted.

    Raises:
        InvalidRequest: it is no URL, or it is missing and must not be.
    """
    url = text(body, "callBackUrl")
    if url is None:
        if not lenient:
            raise InvalidRequest("callBackUrl", "Please enter callBackUrl.")
        return None
    if lenient and not _SCHEME.match(url) and len(url) <= MAX_URL_LENGTH:
        return None
    check_syntax(url, "callBackUrl")
    return url


def text(body: dict[str, Any], name: str) -> str | None:
    """A field's text without spaces around it; None where it is missing, null or blank.

    Raises:
        InvalidRequest: it is something else than text.
    """
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidRequest(name, f"{name} must be a string")
    return value.strip() or None


def _source(service: Service, account_id: str, body: dict[str, Any]) -> tuple[Source, dict[str, str]]:
    """The song, and how the body named it."""
    audio_url = text(body, "audioUrl")
    if audio_url is not None:
        if text(body, "taskId") is not None or text(body, "audioId") is not None:
            raise InvalidRequest("audioUrl", "audioUrl stands in place of taskId and audioId: send either")
        check_syntax(audio_url, "audioUrl")
        return service.sources.by_url(account_id, audio_url), {"audioUrl": audio_url}
    named = {"taskId": _needed(body, "taskId"), "audioId": _needed(body, "audioId")}
    task_id, audio_id = parse_id(named["taskId"]), parse_id(named["audioId"])
    if task_id is None or audio_id is None:
        raise RecordMissing(MISSING)
    return service.sources.by_ids(account_id, task_id, audio_id), named


def _needed(body: dict[str, Any], name: str) -> str:
    value = text(body, name)
    if value is None:
        raise InvalidRequest(name, f"{name} cannot be blank")
    return value
