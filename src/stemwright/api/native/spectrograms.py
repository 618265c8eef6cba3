"""Spectrograms of stems and of the song as PNG tiles, and the picture of what a stem took of the song."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from stemwright.api.files import etag_matches
from stemwright.api.native import schemas
from stemwright.api.native.previews import cache_headers, gone, song_of, stem_of, succeeded_task
from stemwright.api.native.views import json_response
from stemwright.api.problems import problem_responses
from stemwright.audio.tile_index import TILE_COLUMNS
from stemwright.service.errors import NotFound
from stemwright.service.service import Service
from stemwright.service.spectrograms import VERSION
from stemwright.storage.store import BlobMissing, StoredBlob

_NUMBER = re.compile(r"0|[1-9][0-9]{0,5}", re.ASCII)

_RESPONSES: dict[int | str, dict[str, Any]] = problem_responses(401, 403, 404, 409, 503, 507)
_TILE_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The tile", "content": {"image/png": {}}},
    304: {"description": "The client has it already"},
    **_RESPONSES,
}
_OF_STEM = "/v1/separations/{separation_id}/stems/{stem}/spectrogram"
_OF_MIX = "/v1/separations/{separation_id}/mix/spectrogram"
_TAKEN = "/v1/separations/{separation_id}/stems/{stem}/taken"
_TILE = "/{level}/{number}"


@dataclass(frozen=True)
class _Picture:
    """What is drawn, as a name that never means anything else, and how its tile file is had."""

    name: str
    tiles: Callable[[], StoredBlob]


def add_routes(router: APIRouter, service: Service) -> None:
    """Adds the endpoints to the router of our own API."""

    @router.get(
        _OF_STEM,
        summary="How the tiles of a stem's spectrogram lie",
        response_model=schemas.Spectrogram,
        responses=_RESPONSES,
    )
    def get_stem_spectrogram(request: Request, separation_id: str, stem: str) -> Response:
        return _index_response(service, _of_stem(service, request, separation_id, stem))

    @router.get(
        _OF_STEM + _TILE,
        summary="A tile of a stem's spectrogram",
        response_class=Response,
        responses=_TILE_RESPONSES,
    )
    def get_stem_tile(request: Request, separation_id: str, stem: str, level: str, number: str) -> Response:
        return _tile_response(service, request, _of_stem(service, request, separation_id, stem), level, number)

    @router.get(
        _OF_MIX,
        summary="How the tiles of the song's spectrogram lie",
        response_model=schemas.Spectrogram,
        responses=_RESPONSES,
    )
    def get_mix_spectrogram(request: Request, separation_id: str) -> Response:
        return _index_response(service, _of_mix(service, request, separation_id))

    @router.get(
        _OF_MIX + _TILE,
        summary="A tile of the song's spectrogram",
        response_class=Response,
        responses=_TILE_RESPONSES,
    )
    def get_mix_tile(request: Request, separation_id: str, level: str, number: str) -> Response:
        return _tile_response(service, request, _of_mix(service, request, separation_id), level, number)

    @router.get(
        _TAKEN,
        summary="How the tiles of what a stem took of the song lie",
        response_model=schemas.Spectrogram,
        responses=_RESPONSES,
    )
    def get_taken(request: Request, separation_id: str, stem: str) -> Response:
        return _index_response(service, _taken(service, request, separation_id, stem))

    @router.get(
        _TAKEN + _TILE,
        summary="A tile of the song in grey, coloured by the stem's share of each point",
        response_class=Response,
        responses=_TILE_RESPONSES,
    )
    def get_taken_tile(request: Request, separation_id: str, stem: str, level: str, number: str) -> Response:
        return _tile_response(service, request, _taken(service, request, separation_id, stem), level, number)


def _of_stem(service: Service, request: Request, separation_id: str, stem: str) -> _Picture:
    digest = stem_of(succeeded_task(service, request, separation_id), stem)[0]
    return _Picture(digest, lambda: service.spectrograms.of(digest))


def _of_mix(service: Service, request: Request, separation_id: str) -> _Picture:
    digest = song_of(service, succeeded_task(service, request, separation_id))
    return _Picture(digest, lambda: service.spectrograms.of(digest))


def _taken(service: Service, request: Request, separation_id: str, stem: str) -> _Picture:
    task = succeeded_task(service, request, separation_id)
    digest, song = stem_of(task, stem)[0], song_of(service, task)
    gain = 10 ** ((task.facts.get("gain_db") or 0.0) / 20)
    return _Picture(f"{digest}-of-{song}", lambda: service.spectrograms.taken(song, digest, gain))


def _index_response(service: Service, picture: _Picture) -> Response:
    try:
        index = service.spectrograms.index(picture.tiles())
    except BlobMissing as error:
        raise gone() from error
    facts = index.picture
    levels = [
        schemas.SpectrogramLevel(
            samples_per_column=facts.samples_per_column << number, columns=columns, tiles=len(index.tiles[number])
        )
        for number, columns in enumerate(index.columns)
    ]
    return json_response(
        schemas.Spectrogram(
            sample_rate=facts.sample_rate,
            samples=facts.samples,
            tile_columns=TILE_COLUMNS,
            rows=facts.rows,
            highest_hz=facts.highest_hz,
            floor_db=facts.floor_db,
            ceiling_db=facts.ceiling_db,
            levels=levels,
        )
    )


def _tile_response(service: Service, request: Request, picture: _Picture, level: str, number: str) -> Response:
    if _NUMBER.fullmatch(level) is None or _NUMBER.fullmatch(number) is None:
        raise NotFound("There is no tile of that level and number.")
    headers = cache_headers(f'"{picture.name}-tile-{VERSION}-{level}-{number}"')
    if etag_matches(request.headers.get("if-none-match", ""), headers["ETag"]):
        return Response(status_code=304, headers=headers)
    try:
        content = service.spectrograms.tile(picture.tiles(), int(level), int(number))
    except BlobMissing as error:
        raise gone() from error
    return Response(content, headers=headers, media_type="image/png")
