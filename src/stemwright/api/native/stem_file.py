"""``/v1/separations/{id}/stem.mp4``: the mix and four groups in one file, as Native Instruments' Stems."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from stemwright.api.native.previews import gone, succeeded_task
from stemwright.api.native.renderings import Wanted
from stemwright.api.native.zip import attachment, title_of
from stemwright.api.problems import problem_responses
from stemwright.service.errors import InvalidRequest
from stemwright.service.service import Service
from stemwright.stem_groups import N_GROUPS, Group, usual_groups
from stemwright.storage.store import BlobMissing

_GROUP = (
    "Name:stem,stem, such as `Drums:drums,percussion`; four of them, each stem that plays in one. Without any: Drums, "
    "Bass, Other, Vocals."
)


def add_routes(router: APIRouter, service: Service) -> None:
    """Adds the endpoint to the router of our own API."""

    @router.get(
        "/v1/separations/{separation_id}/stem.mp4",
        summary="The mix and four groups of stems in one file, as Native Instruments' Stems",
        response_class=StreamingResponse,
        responses={
            200: {"content": {"video/mp4": {}}},
            **problem_responses(401, 403, 404, 409, 503, 507),
        },
    )
    def download(
        request: Request,
        separation_id: str,
        wanted: Wanted,
        group: Annotated[list[str], Query(description=_GROUP, max_length=N_GROUPS)] = [],  # noqa: B006
        codec: Annotated[Literal["aac", "alac"], Query(description="alac is lossless, with 24 bits.")] = "aac",
    ) -> Response:
        task = succeeded_task(service, request, separation_id, wanted)
        groups = [_read_group(text) for text in group] or usual_groups(stem.name for stem in task.stems)
        title = title_of(service, task)
        try:
            blob = service.stem_files.get(task, title, groups, codec)
        except BlobMissing as error:
            raise gone() from error
        headers = {
            "Content-Length": str(blob.size_bytes),
            "Content-Disposition": attachment(f"{title}.stem.mp4"),
        }
        return StreamingResponse(service.store.read(blob.digest), media_type="video/mp4", headers=headers)


def _read_group(text: str) -> Group:
    name, colon, stems = text.rpartition(":")
    if not colon:
        raise InvalidRequest("group", "Write Name:stem,stem, such as Drums:drums,percussion.")
    return Group(name.strip(), tuple(stem.strip() for stem in stems.split(",") if stem.strip()))
