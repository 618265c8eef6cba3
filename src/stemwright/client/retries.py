"""When a client sends a request again, and after which pause."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime

import httpx

from stemwright.client.errors import ApiError, UnreachableError, api_error

TRIES = 5
LONGEST_PAUSE_S = 60.0


def pause_after(reply: httpx.Response, tries: int) -> float:
    """Seconds to wait before a call is sent again that the server did not take (429, 503). The body has been read.

    Raises:
        ApiError: the reply stands.
    """
    asked = _retry_after(reply.headers.get("retry-after"))
    pause = _backoff(tries) if asked is None else asked
    if reply.status_code not in (429, 503) or tries >= TRIES or pause > LONGEST_PAUSE_S:
        raise _error_of(reply)
    return pause


def pause_after_error(error: httpx.TransportError, tries: int, *, repeatable: bool) -> float:
    """Seconds to wait before a call is sent again whose connection failed.

    Raises:
        UnreachableError: no retries are left, or the request may have arrived and must not be repeated.
    """
    nothing_sent = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
    if tries >= TRIES or not (repeatable or nothing_sent):
        raise UnreachableError(
            f"The server did not answer ({error or type(error).__name__}); is it running?"
        ) from error
    return _backoff(tries)


def _error_of(reply: httpx.Response) -> ApiError:
    try:
        problem = reply.json()
    except ValueError:
        problem = None
    return api_error(reply.status_code, reply.reason_phrase, problem)


def _backoff(tries: int) -> float:
    return float(0.25 * 2 ** (tries - 1))


def _retry_after(header: str | None) -> float | None:
    if header is None:
        return None
    try:
        return max(0.0, float(header))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(header).timestamp() - time.time())
    except ValueError:
        return None
