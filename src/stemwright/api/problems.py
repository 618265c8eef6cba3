"""Errors of our own API: ``application/problem+json`` (RFC 9457), whatever went wrong."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from stemwright.api.body import BodyError
from stemwright.api.content_encoding import EncodingError, UnknownEncoding
from stemwright.errors import ModelUnavailableError, StemwrightError, StorageError, UsageError
from stemwright.service import errors

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
"""What a client is told to wait where nobody knows better."""

log = structlog.get_logger(__name__)


class FieldProblem(BaseModel):
    """One field that is wrong."""

    field: str
    detail: str


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(examples=["urn:stemwright:problem:invalid-request"])
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] = Field(default=[], description="The fields that are wrong, where fields are.")


class InvalidFields(errors.ServiceError):
    """Several fields are missing or wrong; each comes with a sentence."""

    code = 422

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        super().__init__(" ".join(f"{field}: {detail}" for field, detail in fields))
        self.fields = fields


@dataclass(frozen=True)
class _Kind:
    status: int
    name: str
    title: str


_INVALID = _Kind(422, "invalid-request", "The request makes no sense")
_FAULT = _Kind(500, "fault", "The server failed")
_CUT_OFF = _Kind(400, "cut-off", "The request ended early")

# 455 and 505 are words of the vendors' faces; HTTP has better ones.
_KINDS: dict[type[Exception], _Kind] = {
    BodyError: _Kind(400, "bad-body", "The body cannot be read"),
    EncodingError: _Kind(400, "bad-body", "The body cannot be read"),
    UnknownEncoding: _Kind(415, "unknown-coding", "The body is encoded in an unknown way"),
    ClientDisconnect: _CUT_OFF,
    errors.NotAuthenticated: _Kind(401, "not-authenticated", "No valid API key"),
    errors.InsufficientCredits: _Kind(402, "credits-insufficient", "Too few credits"),
    errors.NotPermitted: _Kind(403, "not-permitted", "The key is not for this"),
    errors.SwitchedOff: _Kind(403, "switched-off", "Not offered on this server"),
    errors.NotFound: _Kind(404, "not-found", "There is no such thing"),
    errors.Conflict: _Kind(409, "conflict", "It contradicts what is there"),
    errors.TooLarge: _Kind(413, "too-large", "Too many bytes"),
    errors.QuotaExceeded: _Kind(413, "quota-exceeded", "The account's files take all their room"),
    errors.InvalidRequest: _INVALID,
    InvalidFields: _INVALID,
    errors.RecordMissing: _INVALID,
    errors.SourceUnavailable: _INVALID,
    UsageError: _INVALID,
    ModelUnavailableError: _INVALID,
    errors.RateLimited: _Kind(429, "too-fast", "Too many requests"),
    errors.TooManyRunning: _Kind(429, "too-many-running", "Too many separations under way"),
    errors.TooManyStreams: _Kind(429, "too-many-streams", "Too many streams of events"),
    errors.StreamLimitReached: _Kind(503, "streams-full", "Too many streams of events"),
    errors.UnderMaintenance: _Kind(503, "under-maintenance", "Under maintenance"),
    errors.UpstreamTimeout: _Kind(504, "upstream-silent", "The vendor does not answer"),
    StorageError: _Kind(507, "storage", "Nothing can be stored"),
}

NO_KEY = "Send a key that is in use as 'Authorization: Bearer sw_…'; `stemwright keys create NAME` makes one."


def problem_response(error: Exception) -> Response:
    """The answer to an error. One that nobody planned is logged, and told without its traceback."""
    if isinstance(error, RequestValidationError):
        error = InvalidFields([(str(one["loc"][-1]), f"{one['msg']}.") for one in error.errors()])
    if isinstance(error, HTTPException):
        phrase = HTTPStatus(error.status_code).phrase
        kind = _Kind(error.status_code, phrase.lower().replace(" ", "-"), phrase)
        return _response(kind, str(error.detail), headers=dict(error.headers or {}))
    kind = next((_KINDS[base] for base in type(error).__mro__ if base in _KINDS), _FAULT)
    if kind is _FAULT:
        log.error("a request failed", exc_info=error)
        planned = isinstance(error, StemwrightError)
        return _response(
            kind, str(error) if planned else "The server failed; its log says why. Please try again later."
        )
    if kind is _CUT_OFF:
        return _response(kind, "The connection ended before the request did.")
    if isinstance(error, StorageError):
        # Its remedy is the operator's, and names folders of this machine.
        log.error("storage", problem=str(error))
        return _response(kind, "Nothing can be stored for now. Please try again later.")
    headers = {}
    if isinstance(error, errors.RateLimited):
        headers["Retry-After"] = str(round(error.retry_after_s + 0.5))
    elif kind.status in (429, 503):
        headers["Retry-After"] = str(RETRY_AFTER_S)
    elif kind.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return _response(kind, NO_KEY if kind.status == 401 else str(error), _fields(error), headers)


def _fields(error: Exception) -> list[FieldProblem]:
    if isinstance(error, InvalidFields):
        return [FieldProblem(field=field, detail=detail) for field, detail in error.fields]
    if isinstance(error, errors.InvalidRequest):
        return [FieldProblem(field=error.field, detail=str(error))]
    return []


def _response(
    kind: _Kind, detail: str, fields: list[FieldProblem] | None = None, headers: dict[str, str] | None = None
) -> Response:
    problem = Problem(
        type=f"urn:stemwright:problem:{kind.name}",
        title=kind.title,
        status=kind.status,
        detail=detail,
        errors=fields or [],
    )
    content = problem.model_dump(exclude_defaults=True)
    return JSONResponse(content, status_code=kind.status, headers=headers, media_type=MEDIA_TYPE)


def documented(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The problems that an endpoint can answer with, for its OpenAPI; 422 is always among them."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in {*statuses, 422}}


class ProblemRoute(APIRoute):
    """A route that answers every error with a problem."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler of FastAPI's, with its errors caught."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except Exception as error:
                return problem_response(error)

        return answer
