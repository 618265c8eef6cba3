"""Bodies of orders, read into what the service takes (docs/contracts.md, sections 2, 5 and 10)."""

from __future__ import annotations

from typing import Any

from stemwright.api.kie.fields import OLD_ROUTES, FieldNames, needed, read_callback_url, text
from stemwright.api.kie.instruments import stem_of
from stemwright.service.errors import InvalidRequest, RecordMissing
from stemwright.service.ids import parse_id
from stemwright.service.ssrf_guard import check_syntax
from stemwright.service.task import WAV, Submission
from stemwright.service.task_sources import MISSING, TaskSource, TaskSources
from stemwright.settings import Settings

ADVANCED = "split_stem_advanced"
TYPES = {"separate_vocal": "two", "split_stem": "twelve", ADVANCED: "one"}


def read_order(
    settings: Settings,
    sources: TaskSources,
    account_id: str,
    body: dict[str, Any],
    names: FieldNames = OLD_ROUTES,
    *,
    needs_callback: bool = True,
) -> Submission:
    """What a body asks to separate. Looks for its song in the store, and at the vendor where the operator has a key.

    Raises:
        InvalidRequest: a field is missing or wrong.
        RecordMissing: the ids lead to no song.
        UpstreamTimeout, SourceUnavailable: the vendor did not answer, or not well.
    """
    kind = text(body, "type") or "separate_vocal"
    if kind not in TYPES:
        raise InvalidRequest("type", f"type must be one of: {', '.join(TYPES)}")
    stems, stem_name = TYPES[kind], None
    if kind == ADVANCED:
        stem_name = needed(body, names.stem_name)
        stems = stem_of(stem_name, names.stem_name)
    callback_url = read_callback_url(body, lenient=settings.lenient, is_needed=needs_callback)
    source, named = _source(sources, account_id, body, names)
    return Submission(
        face="kie",
        kind=kind,
        stems=stems,
        plan=settings.plan,
        format=settings.stem_format,
        track_id=source.track_id,
        source_url=source.url,
        song=source.song,
        callback_url=callback_url,
        request=named | {"type": kind, "stemName": stem_name, "callBackUrl": text(body, "callBackUrl")},
        stem_name=stem_name,
    )


def read_wav_order(
    settings: Settings,
    sources: TaskSources,
    account_id: str,
    body: dict[str, Any],
    names: FieldNames = OLD_ROUTES,
    *,
    needs_callback: bool = True,
) -> Submission:
    """What a body asks to have as WAV: a song or a stem, by its ids.

    Raises:
        InvalidRequest: a field is missing or wrong.
        RecordMissing: the ids lead to no song.
        UpstreamTimeout, SourceUnavailable: the vendor did not answer, or not well.
    """
    callback_url = read_callback_url(body, lenient=settings.lenient, is_needed=needs_callback)
    source, named = _by_ids(sources, account_id, body, names)
    return Submission(
        face="kie",
        kind=WAV,
        stems=WAV,
        plan="",
        format="wav",
        track_id=source.track_id,
        song=source.song,
        callback_url=callback_url,
        request=named | {"callBackUrl": text(body, "callBackUrl")},
        stem_name=source.stem_name,
        audio_id=parse_id(named["audioId"]),
    )


def _source(
    sources: TaskSources, account_id: str, body: dict[str, Any], names: FieldNames
) -> tuple[TaskSource, dict[str, str]]:
    """The song, and how the body named it."""
    audio_url = text(body, names.audio_url)
    if audio_url is None:
        return _by_ids(sources, account_id, body, names)
    if text(body, names.task_id) is not None or text(body, names.audio_id) is not None:
        raise InvalidRequest(
            names.audio_url,
            f"{names.audio_url} stands in place of {names.task_id} and {names.audio_id}: send either",
        )
    check_syntax(audio_url, names.audio_url)
    return sources.by_url(account_id, audio_url), {"audioUrl": audio_url}


def _by_ids(
    sources: TaskSources, account_id: str, body: dict[str, Any], names: FieldNames
) -> tuple[TaskSource, dict[str, str]]:
    named = {"taskId": needed(body, names.task_id), "audioId": needed(body, names.audio_id)}
    task_id, audio_id = parse_id(named["taskId"]), parse_id(named["audioId"])
    if task_id is None or audio_id is None:
        raise RecordMissing(MISSING)
    return sources.by_ids(account_id, task_id, audio_id), named
