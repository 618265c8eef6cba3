"""From an error to the reply that one API gives: each API has a table, and this module looks errors up in it."""

from __future__ import annotations

import math
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from stemwright.errors import StorageError
from stemwright.service.errors import RateLimited, ServiceError

DISCONNECTED = "The connection ended before the request did."

log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ErrorRule:
    """How an API reports errors of one class, and of its subclasses that have no rule of their own.

    Attributes:
        code: the number in the reply; None for the error's own (``ServiceError.code``, ``HTTPException.status_code``).
        message: the sentence in the reply; None for the error's own.
        retry_after_s: seconds in the ``Retry-After`` header. ``RateLimited`` knows better, and this is ignored.
        headers: other headers of the reply.
        is_unexpected: the error is logged with its traceback.
        name, title: of a problem (RFC 9457); the vendors' envelopes have neither.
    """

    code: int | None = None
    message: str | None = None
    retry_after_s: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    is_unexpected: bool = False
    name: str = ""
    title: str = ""


ErrorTable = Mapping[type[Exception], ErrorRule]
"""The rules of one API. ``Exception`` has one, so that every error is answered."""


@dataclass(frozen=True)
class ErrorReply:
    """What the reply to an error says."""

    code: int
    message: str
    headers: dict[str, str]
    rule: ErrorRule


def map_error(error: Exception, table: ErrorTable) -> ErrorReply:
    """Looks up the rule of the error's nearest base class. Logs errors that are the server's own."""
    rule = next(table[base] for base in type(error).__mro__ if base in table)
    if isinstance(error, StorageError):
        log.error("storage", problem=str(error))  # only here: the sentence is for the operator, and names folders
    elif rule.is_unexpected:
        log.error("unexpected error", exc_info=error)
    headers = dict(rule.headers)
    if isinstance(error, RateLimited):
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    elif rule.retry_after_s is not None:
        headers["Retry-After"] = str(rule.retry_after_s)
    code = _own_code(error) if rule.code is None else rule.code
    return ErrorReply(code, _own_message(error) if rule.message is None else rule.message, headers, rule)


def error_route(response: Callable[[Exception], Response]) -> type[APIRoute]:
    """A class of routes that catch every error of their handlers and answer it with ``response``."""

    class ErrorRoute(APIRoute):
        def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
            handler = super().get_route_handler()

            async def handle(request: Request) -> Response:
                try:
                    return await handler(request)
                except Exception as error:
                    return response(error)

            return handle

    return ErrorRoute


def _own_code(error: Exception) -> int:
    match error:
        case ServiceError():
            return error.code
        case HTTPException():
            return error.status_code
        case _:
            raise TypeError(f"{type(error).__name__} has no code of its own: its rule needs one")


def _own_message(error: Exception) -> str:
    if isinstance(error, ClientDisconnect):
        return DISCONNECTED
    return str(error.detail) if isinstance(error, HTTPException) else str(error)
