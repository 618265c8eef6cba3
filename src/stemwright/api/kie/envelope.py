"""kie's envelope, ``{code, msg, data}``, always with HTTP status 200 (docs/contracts.md, section 1)."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from stemwright.api.body import BodyError
from stemwright.errors import StorageError, UsageError
from stemwright.service import errors
from stemwright.settings import Settings

BUSY_RETRY_S = 10
"""When to ask again where no window of time says it: as many tasks are under way as may be."""

SERVER_ERROR = "Server Error - Please try again later."

log = structlog.get_logger(__name__)


class WrongMethod(errors.ServiceError):
    """The path is known, and not by this method."""

    code = 405


SUNOAPI_CODES: dict[type[Exception], int] = {
    errors.InsufficientCredits: 429,
    errors.RateLimited: 430,
    errors.TooManyRunning: 405,
    errors.InvalidRequest: 400,
    errors.RecordMissing: 400,
    UsageError: 400,
    WrongMethod: 404,
}
"""Where the sister's numbers differ (contracts, API A')."""


class KieJson(JSONResponse):
    """JSON with the media type of the vendor's own replies."""

    media_type = "application/json;charset=UTF-8"


class Envelope:
    """Replies of kie's face as the settings want them."""

    def __init__(self, settings: Settings) -> None:
        self._mirrors = settings.mirror_status
        self._codes = SUNOAPI_CODES if settings.dialect == "sunoapi" else {}

    def success(self, data: object) -> Response:
        """A reply that all is well."""
        return KieJson({"code": 200, "msg": "success", "data": data})

    def refusal(self, error: Exception) -> Response:
        """The reply to a request that ended in an error. What nobody foresaw is logged, and not told to clients."""
        code, message = self._told(error)
        headers = {}
        if isinstance(error, errors.RateLimited):
            headers["Retry-After"] = str(math.ceil(error.retry_after_s))
        elif isinstance(error, errors.TooManyRunning):
            headers["Retry-After"] = str(BUSY_RETRY_S)
        status = code if self._mirrors else 200
        return KieJson(self._body(code, message), status, headers)

    def route(self) -> type[APIRoute]:
        """Routes whose errors come in this envelope."""
        envelope = self

        class KieRoute(APIRoute):
            def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
                handle = super().get_route_handler()

                async def answer(request: Request) -> Response:
                    try:
                        return await handle(request)
                    except Exception as error:
                        return envelope.refusal(error)

                return answer

        return KieRoute

    def _body(self, code: int, message: str) -> dict[str, Any]:
        if code == 401:  # the vendor's has no data then
            return {"code": code, "msg": message}
        return {"code": code, "msg": message, "data": None}

    def _told(self, error: Exception) -> tuple[int, str]:
        code = next((self._codes[kind] for kind in type(error).__mro__ if kind in self._codes), None)
        match error:
            case errors.NotPermitted():
                return code or 401, str(error)  # no 403 is in the vendor's list
            case errors.ServiceError():
                return code or error.code, str(error)
            case UsageError():
                return code or 422, str(error)
            case ClientDisconnect():
                return 400, "The connection ended before the request did."
            case HTTPException():
                return error.status_code, str(error.detail)
            case StorageError():
                # Its remedy is the operator's, and names folders of this machine.
                log.error("storage", problem=str(error))
                return 500, "Server Error - Nothing can be stored for now. Please try again later."
            case _:
                log.error("unexpected error", exc_info=error)
                return 500, SERVER_ERROR


class UploadEnvelope(Envelope):
    """For uploads: ``success`` beside ``code``, which is 400, 401 or 500 (docs/contracts.md, section 7)."""

    def success(self, data: object) -> Response:
        """A reply that the file is stored."""
        return KieJson({"success": True, "code": 200, "msg": "File uploaded successfully", "data": data})

    def _body(self, code: int, message: str) -> dict[str, Any]:
        return {"success": False} | super()._body(code, message)

    def _told(self, error: Exception) -> tuple[int, str]:
        wrong = (errors.InvalidRequest, errors.TooLarge, errors.QuotaExceeded, errors.SourceUnavailable, BodyError)
        return (400, str(error)) if isinstance(error, wrong) else super()._told(error)
