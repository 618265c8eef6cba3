"""``/v1/operator/models``: the models that this server knows, which are on disk, and downloads."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from stemwright.api.native import operator_schemas as schemas
from stemwright.api.native.access import authenticate
from stemwright.api.native.operator import SCOPE
from stemwright.api.native.views import json_response
from stemwright.api.problems import problem_responses
from stemwright.errors import ModelUnavailableError
from stemwright.models import devices, licences, registry, weight_store
from stemwright.models.registry import Model
from stemwright.service.errors import Conflict
from stemwright.service.model_downloads import ModelDownload
from stemwright.service.service import Service


def add_routes(router: APIRouter, service: Service) -> None:
    """Adds the endpoints to the router of our own API."""

    @router.get(
        "/v1/operator/models",
        summary="Models with their licences, and whether they are on disk",
        response_model=schemas.Models,
        responses=problem_responses(401, 403),
    )
    def models(request: Request) -> Response:
        authenticate(request, service, SCOPE)
        views = [_view(model, service.model_downloads.state(model.name)) for model in registry.models()]
        return json_response(schemas.Models(models=views))

    @router.post(
        "/v1/operator/models/{name}/download",
        summary="Download a model in the background",
        status_code=202,
        response_model=schemas.Model,
        responses=problem_responses(401, 403, 404, 409),
    )
    def download(request: Request, name: str) -> Response:
        authenticate(request, service, SCOPE)
        try:
            state = service.model_downloads.start(name)
        except ModelUnavailableError as error:
            raise Conflict(str(error)) from error
        return json_response(_view(registry.find(name), state), 202)


def _view(model: Model, state: ModelDownload | None) -> schemas.Model:
    installed = weight_store.is_available(model)
    download = None
    if state is not None and not installed:
        download = schemas.Download(state=state.state, done_bytes=state.done_bytes, error=state.error)
    return schemas.Model(
        name=model.name,
        title=model.title,
        stems=list(model.stems),
        licence=model.licence,
        licence_note=model.licence_note,
        permissive=licences.is_permissive(model),
        size_bytes=model.size_bytes,
        in_wheel=model.in_wheel,
        installed=installed,
        can_run=devices.has_runtime(model),
        download=download,
    )
