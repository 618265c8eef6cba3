"""``/v1/tracks``: songs that were uploaded or are given by URL."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from stemwright.api.body import read_json_object
from stemwright.api.multipart import is_multipart, read_multipart
from stemwright.api.native.access import authenticate
from stemwright.api.native.schemas import UUID, Track, TrackChange, TrackPage, TrackRequest, parse_request
from stemwright.api.native.views import MAX_PAGE, json_response, request_body_schema, track_view
from stemwright.api.problems import problem_responses
from stemwright.api.upload_limit import upload_limit
from stemwright.formatting import printable
from stemwright.service import tracks
from stemwright.service.errors import InvalidRequest, NotFound
from stemwright.service.ids import dashed, parse_id
from stemwright.service.service import Service

MAX_TITLE_CHARACTERS = 500

Cursor = Annotated[str | None, Query(description="The `next` of the previous page.", json_schema_extra=UUID)]

_FORM = {
    "type": "object",
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "title": {"type": "string", "maxLength": MAX_TITLE_CHARACTERS},
    },
    "additionalProperties": False,
}


def add_routes(router: APIRouter, service: Service) -> None:
    """Adds the endpoints to the router of our own API."""

    @router.post(
        "/v1/tracks",
        summary="Upload a song, or add it by URL",
        status_code=201,
        response_model=Track,
        responses=problem_responses(400, 401, 403, 413, 507),
        openapi_extra=request_body_schema(TrackRequest, form=_FORM),
    )
    async def add_track(request: Request) -> Response:
        account_id = (await run_in_threadpool(authenticate, request, service, "write")).account_id
        if is_multipart(request):
            track = await _add_upload(service, account_id, request)
        else:
            order = parse_request(TrackRequest, await read_json_object(request))
            track = await run_in_threadpool(_add_by_url, service, account_id, order)
        return json_response(track_view(service, track), 201, {"Location": f"/v1/tracks/{dashed(track.id)}"})

    @router.get("/v1/tracks", summary="All songs", response_model=TrackPage, responses=problem_responses(401, 403, 404))
    def list_tracks(
        request: Request, limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 20, after: Cursor = None
    ) -> Response:
        account_id = authenticate(request, service, "read").account_id
        found = service.tracks.list(account_id, after=parse_cursor(after), limit=limit + 1)
        page = TrackPage(
            tracks=[track_view(service, track) for track in found[:limit]],
            next=dashed(found[limit - 1].id) if len(found) > limit else None,
        )
        return json_response(page, headers=next_link(request, limit, page.next))

    @router.get(
        "/v1/tracks/{track_id}", summary="A song", response_model=Track, responses=problem_responses(401, 403, 404)
    )
    def get_track(request: Request, track_id: str) -> Response:
        account_id = authenticate(request, service, "read").account_id
        track = service.tracks.get(account_id, parse_id(track_id) or "")
        if track is None:
            raise NotFound("There is no track with this id.")
        return json_response(track_view(service, track))

    @router.patch(
        "/v1/tracks/{track_id}",
        summary="Rename a song",
        response_model=Track,
        responses=problem_responses(400, 401, 403, 404, 413),
        openapi_extra=request_body_schema(TrackChange),
    )
    async def rename_track(request: Request, track_id: str) -> Response:
        account_id = (await run_in_threadpool(authenticate, request, service, "write")).account_id
        title = printable(parse_request(TrackChange, await read_json_object(request)).title).strip()
        if not title:
            raise InvalidRequest("title", "Give the song a title that can be read.")
        renamed = await run_in_threadpool(service.tracks.rename, account_id, parse_id(track_id) or "", title)
        return json_response(track_view(service, renamed))

    @router.delete(
        "/v1/tracks/{track_id}",
        summary="Delete a song",
        status_code=204,
        responses=problem_responses(401, 403, 404, 409),
    )
    def delete_track(request: Request, track_id: str) -> Response:
        account_id = authenticate(request, service, "write").account_id
        service.tracks.delete(account_id, parse_id(track_id) or "")
        return Response(status_code=204)


async def _add_upload(service: Service, account_id: str, request: Request) -> tracks.Track:
    # Leaving the writer without a commit deletes its data, so an interrupted upload needs no cleanup.
    with service.store.file_writer() as writer:
        async with upload_limit(service, account_id) as max_bytes:
            form = await read_multipart(request, writer, max_bytes)
        unknown = sorted(form.fields.keys() - {"title"})
        if unknown:
            raise InvalidRequest(unknown[0], "Unknown field; the fields are: file, title.")
        if form.file_field is None:
            raise InvalidRequest("file", "Send a song in the field 'file'.")
        if form.size_bytes == 0:
            raise InvalidRequest("file", "The file is empty.")
        title = form.fields.get("title", "").strip()
        if len(title) > MAX_TITLE_CHARACTERS:
            raise InvalidRequest("title", f"A title has at most {MAX_TITLE_CHARACTERS} characters.")
        name = printable(form.file_name or "")[-200:] or None
        seconds = await run_in_threadpool(service.headers.seconds, writer.path)
        blob = await run_in_threadpool(writer.commit)
    return await run_in_threadpool(
        service.tracks.add_stored,
        account_id,
        blob,
        title=printable(title) or (name or "").rpartition(".")[0] or name or "song",
        file_name=name,
        media_type=form.media_type[:100] if form.media_type else None,
        seconds=seconds,
    )


def _add_by_url(service: Service, account_id: str, order: TrackRequest) -> tracks.Track:
    """A track for a URL. If the URL is a link of this server to a track, it is that track."""
    source = service.task_sources.by_url(account_id, order.url)
    if source.track_id is not None and (track := service.tracks.get(account_id, source.track_id)) is not None:
        return track
    title = order.title or order.url.split("?")[0].rstrip("/").rpartition("/")[2] or "song"
    with service.database.write() as session:
        if source.song is not None:
            return service.tracks.add_song(session, account_id, source.song)
        return service.tracks.add_url(session, account_id, order.url, printable(title)[:MAX_TITLE_CHARACTERS])


def parse_cursor(after: str | None) -> str | None:
    """The ``after`` of a request as an id.

    Raises:
        InvalidRequest: it is not an id.
    """
    if after is None:
        return None
    known = parse_id(after)
    if known is None:
        raise InvalidRequest("after", "It must be the 'next' of an earlier page; leave it out for the first page.")
    return known


def next_link(request: Request, limit: int, after: str | None) -> dict[str, str]:
    """The ``Link`` header to the next page, with the filters of this one."""
    if after is None:
        return {}
    query = {**request.query_params, "limit": str(limit), "after": after}
    return {"Link": f'<{request.url.path}?{urlencode(query)}>; rel="next"'}
