"""``/v1/separations/{id}/stems.zip``: all stems in one file, written while it is sent."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from zipstream import ZipStream  # type: ignore[import-untyped]

from stemwright.api.native.previews import succeeded_task
from stemwright.api.native.renderings import Wanted
from stemwright.api.problems import problem_responses
from stemwright.service.errors import NotFound
from stemwright.service.service import Service
from stemwright.service.task import Task


def add_routes(router: APIRouter, service: Service) -> None:
    """Adds the endpoint to the router of our own API."""

    @router.get(
        "/v1/separations/{separation_id}/stems.zip",
        summary="All stems in one file",
        response_class=StreamingResponse,
        responses={200: {"content": {"application/zip": {}}}, **problem_responses(401, 403, 404, 409)},
    )
    def download(request: Request, separation_id: str, wanted: Wanted) -> Response:
        task = succeeded_task(service, request, separation_id, wanted)
        archive = _archive(service, task)
        headers = {
            "Content-Length": str(len(archive)),
            "Content-Disposition": attachment(f"{title_of(service, task)} stems.zip"),
        }
        return StreamingResponse(iter(archive), media_type="application/zip", headers=headers)


def _archive(service: Service, task: Task) -> ZipStream:
    archive = ZipStream(sized=True)  # stored, not deflated: audio hardly shrinks, and the length is known before
    for stem in task.stems:
        if not service.store.exists(stem.blob):
            raise NotFound(f"The file of the stem '{stem.name}' is gone; separate the song again.")
        archive.add(service.store.read(stem.blob), f"{stem.name}.{stem.format}", size=stem.size_bytes)
    return archive


def title_of(service: Service, task: Task) -> str:
    """The title of a task's song, as a part of a file name that every system takes."""
    track = service.tracks.get(task.account_id, task.track_id)
    title = track.title if track is not None else "stems"
    plain = "".join(char if char.isascii() and (char.isalnum() or char in " -_.()") else "_" for char in title)
    return plain[:100].strip(" .") or "stems"


def attachment(name: str) -> str:
    """The ``Content-Disposition`` of a file that a browser saves; the name has no quotes."""
    return f'attachment; filename="{name}"'
