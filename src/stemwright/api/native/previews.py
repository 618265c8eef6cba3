"""What a player needs of stems and of the song: peaks, and short lossless segments."""

from __future__ import annotations

import re
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from stemwright.api.files import CACHE_S, etag_matches, parse_range
from stemwright.api.native.access import authenticate
from stemwright.api.native.renderings import Wanted
from stemwright.api.native.separations import find_task
from stemwright.api.problems import problem_responses
from stemwright.audio.segments import SEEKABLE_FORMATS, SEGMENT_S, SHORT_SEGMENT_S
from stemwright.service.errors import Conflict, NotFound
from stemwright.service.ids import parse_id
from stemwright.service.service import Service
from stemwright.service.task import Task
from stemwright.speed_and_key import ORIGINAL, SpeedAndKey
from stemwright.storage.store import BlobMissing

_SEGMENT_NUMBER = re.compile(r"0|[1-9][0-9]{0,8}", re.ASCII)

Short = Annotated[
    bool,
    Query(description=f"{SHORT_SEGMENT_S} second in place of {SEGMENT_S}; the number counts such seconds."),
]

_PEAKS: dict[str, Any] = {"content": {"application/octet-stream": {}}}
_SEGMENT: dict[str, Any] = {"content": {"audio/flac": {}, "audio/wav": {}}}
_SEGMENT_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The segment", **_SEGMENT},
    206: {"description": "A range of it", **_SEGMENT},
    304: {"description": "The client has it already"},
    **problem_responses(401, 403, 404, 409, 416, 503, 507),
}
_PEAKS_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The peaks file", **_PEAKS},
    304: {"description": "The client has it already"},
    **problem_responses(401, 403, 404, 409, 503, 507),
}


def add_routes(router: APIRouter, service: Service) -> None:
    """Adds the endpoints to the router of our own API."""

    @router.get(
        "/v1/separations/{separation_id}/stems/{stem}/peaks",
        summary="Peaks of a stem at five resolutions, to draw its waveform",
        response_class=StreamingResponse,
        responses=_PEAKS_RESPONSES,
    )
    def get_stem_peaks(request: Request, separation_id: str, stem: str, wanted: Wanted) -> Response:
        task = succeeded_task(service, request, separation_id, wanted)
        return _peaks_response(service, request, stem_of(task, stem)[0])

    @router.get(
        "/v1/separations/{separation_id}/mix/peaks",
        summary="Peaks of the song",
        response_class=StreamingResponse,
        responses=_PEAKS_RESPONSES,
    )
    def get_mix_peaks(request: Request, separation_id: str, wanted: Wanted) -> Response:
        task = succeeded_task(service, request, separation_id, wanted)
        return _peaks_response(service, request, song_of(service, task, wanted))

    @router.get(
        "/v1/separations/{separation_id}/stems/{stem}/segments/{number}",
        summary=f"{SEGMENT_S} seconds of a stem, lossless; the segments abut to the sample",
        response_class=StreamingResponse,
        responses=_SEGMENT_RESPONSES,
    )
    def get_stem_segment(
        request: Request, separation_id: str, stem: str, number: str, wanted: Wanted, short: Short = False
    ) -> Response:
        task = succeeded_task(service, request, separation_id, wanted)
        digest, fmt = stem_of(task, stem)
        seekable = fmt in SEEKABLE_FORMATS
        return _segment_response(service, request, task, digest, number, seekable=seekable, is_short=short)

    @router.get(
        "/v1/separations/{separation_id}/mix/segments/{number}",
        summary=f"{SEGMENT_S} seconds of the song, lossless; the segments abut to the sample",
        response_class=StreamingResponse,
        responses=_SEGMENT_RESPONSES,
    )
    def get_mix_segment(
        request: Request, separation_id: str, number: str, wanted: Wanted, short: Short = False
    ) -> Response:
        task = succeeded_task(service, request, separation_id, wanted)
        song = song_of(service, task, wanted)
        seekable = not wanted.changes_nothing
        return _segment_response(service, request, task, song, number, seekable=seekable, is_short=short)


def succeeded_task(service: Service, request: Request, separation_id: str, wanted: SpeedAndKey = ORIGINAL) -> Task:
    """The task with an id from a path, for a key that may read; its stems are those at the speed and in the key.

    Raises:
        NotFound: there is no such task, or no rendering of it.
        Conflict: the task or the rendering has not succeeded.
    """
    account_id = authenticate(request, service, "read").account_id
    task = find_task(service, account_id, separation_id)
    if task.state != "succeeded":
        raise Conflict(f"There are no stems: the separation is {task.state}.")
    return task if wanted.changes_nothing else service.renderings.task_at(task, wanted)


def stem_of(task: Task, name: str) -> tuple[str, str]:
    """Digest and format of a stem, by its name or its id."""
    stem_id = parse_id(name)
    for stem in task.stems:
        if stem.name == name or stem.id == stem_id:
            return stem.blob, stem.format
    raise NotFound("The separation has no stem of that name.")


def song_of(service: Service, task: Task, wanted: SpeedAndKey = ORIGINAL) -> str:
    """Digest of the song of a task, at a speed and in a key."""
    if not wanted.changes_nothing:
        return service.renderings.song_at(task, wanted)
    track = service.tracks.get(task.account_id, task.track_id)
    if track is None or track.blob is None:
        raise NotFound("The song is no longer stored; its stems are.")
    return track.blob


def _peaks_response(service: Service, request: Request, digest: str) -> Response:
    service.previews.start()
    headers = cache_headers(f'"{digest}-peaks"')
    if etag_matches(request.headers.get("if-none-match", ""), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    try:
        blob = service.peaks.get(digest)
    except BlobMissing as error:
        raise gone() from error
    headers["Content-Length"] = str(blob.size_bytes)
    chunks = service.store.read(blob.digest)
    return StreamingResponse(chunks, media_type="application/octet-stream", headers=headers)


def _segment_response(
    service: Service, request: Request, task: Task, digest: str, number: str, *, seekable: bool, is_short: bool
) -> Response:
    seconds = SHORT_SEGMENT_S if is_short else SEGMENT_S
    if _SEGMENT_NUMBER.fullmatch(number) is None or int(number) * seconds >= (task.seconds or 0.0):
        raise NotFound("There is no segment of that number.")
    headers = cache_headers(f'"{digest}-{seconds}s-{number}"') | {"Accept-Ranges": "bytes"}
    if etag_matches(request.headers.get("if-none-match", ""), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    try:
        with service.copies.file(digest) as path:
            segment = service.previews.segment(path, int(number), seekable=seekable, is_short=is_short)
    except BlobMissing as error:
        raise gone() from error
    content, status = segment.content, 200
    range_header = request.headers.get("range")
    if range_header and request.headers.get("if-range", headers["ETag"]) == headers["ETag"]:
        byte_range = parse_range(range_header, len(content))
        if byte_range is not None and byte_range[0] >= byte_range[1]:
            outside = f"The segment has {len(content)} bytes: request a range within them."
            raise HTTPException(416, outside, {"Content-Range": f"bytes */{len(content)}"})
        if byte_range is not None:
            headers["Content-Range"] = f"bytes {byte_range[0]}-{byte_range[1] - 1}/{len(content)}"
            content, status = content[byte_range[0] : byte_range[1]], 206
    return Response(content, status, headers, segment.media_type)


def cache_headers(etag: str) -> dict[str, str]:
    """Headers of what never changes, for the browser of this key alone."""
    return {
        "Cache-Control": f"private, no-transform, max-age={CACHE_S}, immutable",
        "ETag": etag,
        # A shared browser cache must not give one account's audio to another key.
        "Vary": "Authorization, X-Api-Key, Cookie",
        "X-Content-Type-Options": "nosniff",
    }


def gone() -> NotFound:
    """The error for a file that was deleted."""
    return NotFound("The file is gone; separate the song again.")
