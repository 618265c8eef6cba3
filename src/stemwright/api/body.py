"""Request bodies: JSON with limits of size, depth and time."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from starlette.requests import Request

from stemwright.api.content_encoding import DecodedBody
from stemwright.service.errors import ServiceError, TooLarge

MAX_JSON_BYTES = 1_000_000
MAX_DEPTH = 32

BODY_TIMEOUT_S = 60.0
"""Seconds within which the whole body must arrive."""


class BodyError(ServiceError):
    """The body is not the JSON object that it should be."""

    code = 400


async def read_body(request: Request, limit_bytes: int = MAX_JSON_BYTES) -> bytes:
    """The whole body, decoded.

    Raises:
        BodyError: it did not arrive within ``BODY_TIMEOUT_S`` seconds.
        EncodingError, UnknownEncoding: it cannot be decoded as its Content-Encoding says.
        TooLarge: it has more than ``limit_bytes``; reading stops there.
    """
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            async for chunk in DecodedBody(request):
                body += chunk
                if len(body) > limit_bytes:
                    raise TooLarge(f"The body has more than {limit_bytes} bytes; send a smaller one.")
    except TimeoutError as error:
        raise BodyError(f"The request body did not arrive within {BODY_TIMEOUT_S:g} seconds; send it again.") from error
    return bytes(body)


async def read_json_object(request: Request, limit_bytes: int = MAX_JSON_BYTES) -> dict[str, Any]:
    """The body as a JSON object. If a key occurs twice, the last one counts.

    Raises:
        BodyError: it is not JSON, not an object, nested too deep, has NUL or half a surrogate pair in its text, or did
            not arrive in time.
        TooLarge: it has more than ``limit_bytes``.
    """
    return parse_json_object(await read_body(request, limit_bytes))


def parse_json_object(body: bytes) -> dict[str, Any]:
    """Parses a body; see ``read_json_object``."""
    try:
        parsed = json.loads(body, parse_constant=_reject_constant)
    except (ValueError, RecursionError) as error:  # UnicodeDecodeError is a ValueError
        raise BodyError("The request body is not valid JSON.") from error
    if not isinstance(parsed, dict):
        raise BodyError("The request body is not a JSON object.")
    _check_value(parsed, MAX_DEPTH)
    return parsed


def _reject_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not JSON")


def _check_value(value: object, depth: int) -> None:
    if depth == 0:
        raise BodyError(f"The request body is nested deeper than {MAX_DEPTH} levels.")
    if isinstance(value, str):
        if "\0" in value or not _is_unicode(value):
            raise BodyError("The request body holds characters that are not text: NUL, or half of a surrogate pair.")
    elif isinstance(value, dict):
        for key, inner in value.items():
            _check_value(key, depth)
            _check_value(inner, depth - 1)
    elif isinstance(value, list):
        for inner in value:
            _check_value(inner, depth - 1)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
