"""Parses the body of ``POST /v1/separations``, and checks all that can be checked without the song."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stemwright.api.native.schemas import SeparationRequest, parse_request
from stemwright.audio.formats import output_format
from stemwright.audio.input_file import SourceFormat
from stemwright.errors import ModelUnavailableError, UsageError
from stemwright.separation.plan import plan_of
from stemwright.service.errors import InvalidRequest
from stemwright.service.fleet import Fleet
from stemwright.service.ids import new_id, parse_id
from stemwright.service.ssrf_guard import check_syntax
from stemwright.service.task import Submission
from stemwright.service.task_sources import TaskSource, TaskSources
from stemwright.stems import select

KIND = "v1"
"""The kind of task of our own API, by which its price is set and it is switched off."""

MAX_KEY_CHARACTERS = 255

NO_TRACK = "There is no track with this id; POST /v1/tracks creates one."

_EXAMPLE_FORMAT = SourceFormat("wav", "pcm_s16le", 44_100, 2, "stereo", 16, False, True, None, None, None, None)


def read_submission(
    sources: TaskSources, fleet: Fleet, account_id: str, body: dict[str, Any], idempotency_key: str | None
) -> Submission:
    """The submission for the service.

    Raises:
        InvalidFields, InvalidRequest: a field is missing or wrong; the message says which and why.
    """
    if idempotency_key is not None and not 1 <= len(idempotency_key) <= MAX_KEY_CHARACTERS:
        raise InvalidRequest("Idempotency-Key", f"An Idempotency-Key has 1 to {MAX_KEY_CHARACTERS} characters.")
    order = parse_request(SeparationRequest, body)
    stems = order.stems if isinstance(order.stems, str) else ",".join(order.stems)
    with _errors_of_field("stems"):
        select(stems)
    with _errors_of_field("playing"):
        playing = select(stems, order.playing).playing
    with _errors_of_field("plan"):
        plan = plan_of(fleet.resolve(order.plan, stems))
        if not fleet.has(plan.name, stems):
            raise ModelUnavailableError(f"'{plan.name}' is not installed on this server; /v1/plans lists what is.")
    _check_format(order)
    if order.callback_url is not None:
        check_syntax(order.callback_url, "callback_url")
    source = _source(sources, account_id, order)
    return Submission(
        face="native",
        kind=KIND,
        stems=stems,
        plan=plan.name,
        format=order.format,
        bit_depth=order.bit_depth,
        bitrate_kbps=order.bitrate_kbps,
        track_id=source.track_id,
        source_url=source.url,
        song=source.song,
        callback_url=order.callback_url,
        # With the id the caller sees whether the task is new or from an earlier request with the same key.
        request={"id": new_id(), "body": body} | ({} if playing is None else {"playing": list(playing)}),
        priority=order.priority,
        idempotency_key=idempotency_key,
        body_digest=hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest(),
    )


def _source(sources: TaskSources, account_id: str, order: SeparationRequest) -> TaskSource:
    if (order.track_id is None) == (order.url is None):
        raise InvalidRequest("track_id", "Send either track_id or url.")
    if order.url is not None:
        return sources.by_url(account_id, order.url)
    track_id = parse_id(order.track_id)
    if track_id is None:
        raise InvalidRequest("track_id", NO_TRACK)
    return TaskSource(track_id)


def _check_format(order: SeparationRequest) -> None:
    """Checks the format with an example song: whether it has a bit depth or a bit rate does not depend on the song."""
    try:
        output_format(order.format, bit_depth=order.bit_depth, bitrate_kbps=order.bitrate_kbps, source=_EXAMPLE_FORMAT)
    except UsageError as error:
        field = "bit_depth" if order.bit_depth is not None else "bitrate_kbps"
        raise InvalidRequest(field, _with_field_names(str(error))) from error


def _with_field_names(sentence: str) -> str:
    """An error of the command line with the names of fields in place of options."""
    for flag, name in (("--bit-depth", "bit_depth"), ("--bitrate", "bitrate_kbps"), ("--format", "format")):
        sentence = sentence.replace(flag, name)
    return sentence


@contextmanager
def _errors_of_field(name: str) -> Iterator[None]:
    """Turns errors within into errors of this field."""
    try:
        yield
    except (UsageError, ModelUnavailableError) as error:
        raise InvalidRequest(name, str(error)) from error
