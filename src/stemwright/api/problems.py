"""Errors of our own API: ``application/problem+json`` (RFC 9457)."""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from stemwright.api.body import BodyError
from stemwright.api.content_encoding import EncodingError, UnknownEncoding
from stemwright.api.error_mapping import ErrorRule, ErrorTable, error_route, map_error
from stemwright.errors import ModelUnavailableError, StemwrightError, StorageError, UsageError
from stemwright.service import errors

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_S = 5
"""``Retry-After`` where nothing says how long it takes."""


class FieldProblem(BaseModel):
    """One invalid field."""

    field: str
    detail: str


class Problem(BaseModel):
    """What went wrong (RFC 9457)."""

    type: str = Field(examples=["urn:stemwright:problem:invalid-request"])
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] = Field(default=[], description="The invalid fields, if any.")


class InvalidFields(errors.ServiceError):
    """Fields are missing or wrong; one sentence for each."""

    code = 422

    def __init__(self, fields: list[tuple[str, str]]) -> None:
        super().__init__(" ".join(f"{field}: {detail}" for field, detail in fields))
        self.fields = fields


NO_KEY = "Send a valid key as 'Authorization: Bearer sw_…'; `stemwright keys create NAME` creates one."


def _rule(code: int, name: str, title: str, message: str | None = None) -> ErrorRule:
    headers = {"WWW-Authenticate": "Bearer"} if code == 401 else {}
    return ErrorRule(code, message, RETRY_AFTER_S if code in (429, 503) else None, headers, name=name, title=title)


_INVALID = _rule(422, "invalid-request", "The request is invalid")
_FAULT = ErrorRule(500, is_unexpected=True, name="fault", title="The server failed")

# 455 and 505 are codes of the vendors; HTTP has better ones.
ERRORS: ErrorTable = {
    BodyError: _rule(400, "bad-body", "The body cannot be read"),
    EncodingError: _rule(400, "bad-body", "The body cannot be read"),
    UnknownEncoding: _rule(415, "unknown-coding", "The Content-Encoding is not supported"),
    ClientDisconnect: _rule(400, "cut-off", "The request ended early"),
    HTTPException: ErrorRule(),
    errors.NotAuthenticated: _rule(401, "not-authenticated", "No valid API key", NO_KEY),
    errors.LinkUsed: _rule(401, "link-used", "The one-time link was used"),
    errors.InsufficientCredits: _rule(402, "credits-insufficient", "Too few credits"),
    errors.NotPermitted: _rule(403, "not-permitted", "The key lacks the scope"),
    errors.SwitchedOff: _rule(403, "switched-off", "Not offered on this server"),
    errors.NotFound: _rule(404, "not-found", "Not found"),
    errors.Conflict: _rule(409, "conflict", "Conflict with the current state"),
    errors.TooLarge: _rule(413, "too-large", "Too many bytes"),
    errors.QuotaExceeded: _rule(413, "quota-exceeded", "The account's storage quota is used up"),
    errors.InvalidRequest: _INVALID,
    InvalidFields: _INVALID,
    errors.RecordMissing: _INVALID,
    errors.SourceUnavailable: _INVALID,
    UsageError: _INVALID,
    ModelUnavailableError: _INVALID,
    errors.RateLimited: _rule(429, "too-fast", "Too many requests"),
    errors.TooManyRunning: _rule(429, "too-many-running", "Too many separations are running"),
    errors.TooManyStreams: _rule(429, "too-many-streams", "Too many event streams are open"),
    errors.StreamLimitReached: _rule(503, "streams-full", "Too many event streams are open"),
    errors.PreviewUnavailable: _rule(503, "preview-unavailable", "The file cannot be read now"),
    errors.UnderMaintenance: _rule(503, "under-maintenance", "Under maintenance"),
    errors.UpstreamTimeout: _rule(504, "upstream-silent", "The vendor does not answer"),
    StorageError: _rule(
        507, "storage", "Nothing can be stored", "Nothing can be stored for now. Please try again later."
    ),
    StemwrightError: _FAULT,
    Exception: replace(_FAULT, message="The server failed; its log says why. Please try again later."),
}


def problem_response(error: Exception) -> Response:
    """The reply to a request that failed. Unexpected errors are logged; their traceback is not sent."""
    if isinstance(error, RequestValidationError):
        error = InvalidFields([(str(one["loc"][-1]), f"{one['msg']}.") for one in error.errors()])
    reply = map_error(error, ERRORS)
    name, title, headers = reply.rule.name, reply.rule.title, reply.headers
    if isinstance(error, HTTPException):
        title = HTTPStatus(error.status_code).phrase
        name = title.lower().replace(" ", "-")
        headers = headers | dict(error.headers or {})
    problem = Problem(
        type=f"urn:stemwright:problem:{name}",
        title=title,
        status=reply.code,
        detail=reply.message,
        errors=_fields(error),
    )
    content = problem.model_dump(exclude_defaults=True)
    return JSONResponse(content, status_code=reply.code, headers=headers, media_type=MEDIA_TYPE)


def _fields(error: Exception) -> list[FieldProblem]:
    if isinstance(error, InvalidFields):
        return [FieldProblem(field=field, detail=detail) for field, detail in error.fields]
    if isinstance(error, errors.InvalidRequest):
        return [FieldProblem(field=error.field, detail=str(error))]
    return []


def problem_responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error responses of an endpoint for OpenAPI; 422 is always included."""
    content = {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in {*statuses, 422}}


ProblemRoute = error_route(problem_response)
"""Routes that answer every error with a problem."""
