"""crun's envelope, ``{code, message, data}``. HTTP status and code are equal (docs/contracts.md, section 11)."""

from __future__ import annotations

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from stemwright.api.error_mapping import ErrorRule, ErrorTable, error_route, map_error
from stemwright.errors import StorageError, UsageError
from stemwright.service.errors import ServiceError, TooManyRunning

BUSY_RETRY_S = 10
"""``Retry-After`` while the account has its maximum of running tasks; when one of them ends is not known."""


class WrongMethod(ServiceError):
    """The path is served here, but not with this method."""

    code = 405

    def __init__(self, method: str) -> None:
        super().__init__(f"This path takes {method} only.")
        self.method = method


ERRORS: ErrorTable = {
    TooManyRunning: ErrorRule(retry_after_s=BUSY_RETRY_S),
    ServiceError: ErrorRule(),
    UsageError: ErrorRule(422),
    ClientDisconnect: ErrorRule(400),
    HTTPException: ErrorRule(),
    StorageError: ErrorRule(500, "The server cannot store anything for now. Please try again later."),
    Exception: ErrorRule(500, "The server met an unexpected error. Please try again later.", is_unexpected=True),
}


def success(data: object) -> Response:
    """The reply to a request that succeeded."""
    return JSONResponse({"code": 200, "message": "success", "data": data})


def error_response(error: Exception) -> Response:
    """The reply to a request that failed. Unexpected errors are logged; their text is not sent."""
    reply = map_error(error, ERRORS)
    headers = reply.headers | ({"Allow": error.method} if isinstance(error, WrongMethod) else {})
    return JSONResponse({"code": reply.code, "message": reply.message, "data": None}, reply.code, headers)


CrunRoute = error_route(error_response)
"""Routes whose errors come in crun's envelope."""
