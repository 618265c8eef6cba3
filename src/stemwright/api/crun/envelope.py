"""crun's envelope, ``{code, message, data}``. HTTP status and code are equal (docs/contracts.md, section 11)."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine
from typing import Any

import structlog
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from stemwright.errors import StorageError, UsageError
from stemwright.service.errors import RateLimited, ServiceError, TooManyRunning

BUSY_RETRY_S = 10
"""When to ask again where no window of time says it: as many tasks are under way as may be."""


class WrongMethod(ServiceError):
    """The path is served here, but not with this method."""

    code = 405

    def __init__(self, method: str) -> None:
        super().__init__(f"This path takes {method} only.")
        self.method = method


log = structlog.get_logger(__name__)


def success(data: object) -> Response:
    """A reply that all is well."""
    return JSONResponse({"code": 200, "message": "success", "data": data})


def refusal(error: Exception) -> Response:
    """The reply to a request that ended in an error. What nobody foresaw is logged, and not told to clients."""
    code, message, headers = 500, "The server met an unexpected error. Please try again later.", {}
    if isinstance(error, ServiceError):
        code, message = error.code, str(error)
        if isinstance(error, RateLimited):
            headers["Retry-After"] = str(math.ceil(error.retry_after_s))
        elif isinstance(error, TooManyRunning):
            headers["Retry-After"] = str(BUSY_RETRY_S)
        elif isinstance(error, WrongMethod):
            headers["Allow"] = error.method
    elif isinstance(error, HTTPException):
        code, message = error.status_code, str(error.detail)
    elif isinstance(error, UsageError):
        code, message = 422, str(error)
    elif isinstance(error, ClientDisconnect):
        code, message = 400, "The connection ended before the request did."
    elif isinstance(error, StorageError):
        # Its remedy is the operator's, and names folders of this machine.
        log.error("storage", problem=str(error))
        message = "The server cannot store anything for now. Please try again later."
    else:
        log.error("unexpected error", exc_info=error)
    return JSONResponse({"code": code, "message": message, "data": None}, code, headers)


class CrunRoute(APIRoute):
    """A route whose errors come in crun's envelope."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Wraps the route's own handler."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            try:
                return await handle(request)
            except Exception as error:
                return refusal(error)

        return answer
