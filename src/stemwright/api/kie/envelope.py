"""kie's envelope, ``{code, msg, data}``, always with HTTP status 200 (docs/contracts.md, section 1)."""

from __future__ import annotations

from typing import Any

from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from stemwright.api.body import BodyError
from stemwright.api.error_mapping import ErrorRule, ErrorTable, error_route, map_error
from stemwright.errors import StorageError, UsageError
from stemwright.service import errors
from stemwright.settings import Settings

BUSY_RETRY_S = 10
"""``Retry-After`` while the account has its maximum of running tasks; when one of them ends is not known."""

SERVER_ERROR = "Server Error - Please try again later."


class WrongMethod(errors.ServiceError):
    """The path is served, but not with this method."""

    code = 405


ERRORS: ErrorTable = {
    errors.NotPermitted: ErrorRule(401),  # the vendor's list has no 403
    errors.TooManyRunning: ErrorRule(retry_after_s=BUSY_RETRY_S),
    errors.ServiceError: ErrorRule(),
    UsageError: ErrorRule(422),
    ClientDisconnect: ErrorRule(400),
    HTTPException: ErrorRule(),
    StorageError: ErrorRule(500, "Server Error - Nothing can be stored for now. Please try again later."),
    Exception: ErrorRule(500, SERVER_ERROR, is_unexpected=True),
}

SUNOAPI_ERRORS: ErrorTable = {
    **ERRORS,
    errors.InsufficientCredits: ErrorRule(429),
    errors.RateLimited: ErrorRule(430),
    errors.TooManyRunning: ErrorRule(405, retry_after_s=BUSY_RETRY_S),
    errors.InvalidRequest: ErrorRule(400),
    errors.RecordMissing: ErrorRule(400),
    UsageError: ErrorRule(400),
    WrongMethod: ErrorRule(404),
}
"""Where sunoapi.org has other codes (docs/contracts.md, section 15)."""

UPLOAD_ERRORS: ErrorTable = dict.fromkeys(
    (errors.InvalidRequest, errors.TooLarge, errors.QuotaExceeded, errors.SourceUnavailable, BodyError), ErrorRule(400)
)
"""Where uploads have other codes (docs/contracts.md, section 7)."""


class KieJson(JSONResponse):
    """JSON with the media type of the vendor's own replies."""

    media_type = "application/json;charset=UTF-8"


class Envelope:
    """Replies of kie's API, with the codes and the HTTP status that the settings ask for."""

    def __init__(self, settings: Settings) -> None:
        self._mirrors_status = settings.mirror_status
        self._errors = SUNOAPI_ERRORS if settings.dialect == "sunoapi" else ERRORS

    def success(self, data: object) -> Response:
        """The reply to a request that succeeded."""
        return KieJson({"code": 200, "msg": "success", "data": data})

    def error(self, error: Exception) -> Response:
        """The reply to a request that failed. Unexpected errors are logged; their text is not sent."""
        reply = map_error(error, self._errors)
        status = reply.code if self._mirrors_status else 200
        return KieJson(self._error_body(reply.code, reply.message), status, reply.headers)

    def route_class(self) -> type[APIRoute]:
        """The class of routes whose errors come in this envelope."""
        return error_route(self.error)

    def _error_body(self, code: int, message: str) -> dict[str, Any]:
        if code == 401:  # the vendor sends no data with this code
            return {"code": code, "msg": message}
        return {"code": code, "msg": message, "data": None}


class UploadEnvelope(Envelope):
    """For uploads: ``success`` beside ``code``, which is 400, 401 or 500 (docs/contracts.md, section 7)."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        self._errors = {**self._errors, **UPLOAD_ERRORS}

    def success(self, data: object) -> Response:
        """The reply to an upload that was stored."""
        return KieJson({"success": True, "code": 200, "msg": "File uploaded successfully", "data": data})

    def _error_body(self, code: int, message: str) -> dict[str, Any]:
        return {"success": False} | super()._error_body(code, message)
