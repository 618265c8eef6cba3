"""``/v1/separations/{id}/daw.zip``: the stems as WAV files for an audio workstation, with a REAPER project."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from stemwright.api.native.previews import succeeded_task
from stemwright.api.native.renderings import Wanted
from stemwright.api.native.zip import attachment, title_of
from stemwright.api.problems import problem_responses
from stemwright.service.service import Service


def add_routes(router: APIRouter, service: Service) -> None:
    """Adds the endpoint to the router of our own API."""

    @router.get(
        "/v1/separations/{separation_id}/daw.zip",
        summary="The stems that play as broadcast WAV files of one length, and a REAPER project that opens them",
        response_class=StreamingResponse,
        responses={200: {"content": {"application/zip": {}}}, **problem_responses(401, 403, 404, 409)},
    )
    def download(request: Request, separation_id: str, wanted: Wanted) -> Response:
        from stemwright.service.daw_set import daw_set  # NumPy: 40 MB that few servers need

        task = succeeded_task(service, request, separation_id, wanted)
        title = title_of(service, task)
        archive = daw_set(task, title, service.copies, service.previews)
        headers = {"Content-Length": str(len(archive)), "Content-Disposition": attachment(f"{title} DAW.zip")}
        return StreamingResponse(iter(archive), media_type="application/zip", headers=headers)
