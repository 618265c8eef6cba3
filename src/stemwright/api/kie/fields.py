"""Reads fields of request bodies on kie's API: camelCase on the older routes, snake_case on the market routes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request

from stemwright.service.errors import InvalidRequest
from stemwright.service.ssrf_guard import MAX_URL_LENGTH, check_syntax

_SCHEME = re.compile(r"https?:|[a-z][a-z0-9+.-]*://", re.IGNORECASE)


@dataclass(frozen=True)
class FieldNames:
    """The names of fields on a route."""

    task_id: str
    audio_id: str
    audio_url: str
    stem_name: str


CAMEL_CASE = FieldNames("taskId", "audioId", "audioUrl", "stemName")
SNAKE_CASE = FieldNames("task_id", "audio_id", "audio_url", "stem_name")


def optional_text(body: dict[str, Any], name: str) -> str | None:
    """The string in a field, stripped; None if it is missing, null or blank.

    Raises:
        InvalidRequest: it is not a string.
    """
    value = body.get(name)
    if value is None:
        return None
    if not isinstance(value, str):
        raise InvalidRequest(name, f"{name} must be a string")
    return value.strip() or None


def required_text(body: dict[str, Any], name: str) -> str:
    """The string in a required field.

    Raises:
        InvalidRequest: it is missing, blank, or not a string.
    """
    value = optional_text(body, name)
    if value is None:
        raise InvalidRequest(name, f"{name} cannot be blank")
    return value


def required_query(request: Request, name: str) -> str:
    """A required query parameter.

    Raises:
        InvalidRequest: it is missing or blank.
    """
    value = request.query_params.get(name, "").strip()
    if not value:
        raise InvalidRequest(name, f"{name} cannot be blank")
    return value


def read_callback_url(body: dict[str, Any], *, lenient: bool, required: bool = True) -> str | None:
    """The callback URL; None if nothing is to be posted.

    The vendor's own playground sends ``"playground"``, and clients copy that (docs/contracts.md, section 16). If
    ``lenient``, a value without a scheme means that nothing is posted.

    Raises:
        InvalidRequest: it is not a URL, or it is missing but required.
    """
    url = optional_text(body, "callBackUrl")
    if url is None:
        if required and not lenient:
            raise InvalidRequest("callBackUrl", "Please enter callBackUrl.")
        return None
    if lenient and not _SCHEME.match(url) and len(url) <= MAX_URL_LENGTH:
        return None
    check_syntax(url, "callBackUrl")
    return url
