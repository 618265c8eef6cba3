"""Errors of the client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from stemwright.errors import StemwrightError

if TYPE_CHECKING:
    from stemwright.client.records import Separation


@dataclass(frozen=True)
class FieldError:
    """An invalid field of a request, and the reason."""

    field: str
    detail: str


class ApiError(StemwrightError):
    """The server refused the request.

    Attributes:
        status: HTTP status.
        type: URN of the kind of problem, ``urn:stemwright:problem:…``; title: the same for people.
        detail: the sentence that says what to do.
        errors: the fields that are wrong, where fields are.
    """

    def __init__(self, status: int, type: str, title: str, detail: str, errors: tuple[FieldError, ...] = ()) -> None:
        super().__init__(detail)
        self.status = status
        self.type = type
        self.title = title
        self.detail = detail
        self.errors = errors

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle, so that an error reaches the process that waits for it: by default it would give ``detail`` alone."""
        return type(self), (self.status, self.type, self.title, self.detail, self.errors)


class InvalidRequestError(ApiError):
    """400, 413, 422: the request is invalid."""


class AuthenticationError(ApiError):
    """401, 403: no key, a wrong key, or a key without the scope."""


class CreditsInsufficientError(ApiError):
    """402: the account cannot pay."""


class NotFoundError(ApiError):
    """404: the account has no such object."""


class ConflictError(ApiError):
    """409: the request conflicts with the present state."""


class TooManyRequestsError(ApiError):
    """429: still too fast after all retries."""


class ServerError(ApiError):
    """5xx: the server failed, or is under maintenance."""


class UnreachableError(StemwrightError):
    """The server did not answer."""


class SeparationFailedError(StemwrightError):
    """A separation failed or was cancelled; ``separation`` says which."""

    def __init__(self, separation: Separation) -> None:
        reason = separation.error.message if separation.error else "The separation was cancelled."
        super().__init__(reason)
        self.separation = separation

    def __reduce__(self) -> tuple[Any, ...]:
        """For pickle, as of ``ApiError``."""
        return type(self), (self.separation,)


class RenderingFailedError(StemwrightError):
    """The stems could not be made at another speed or in another key."""


class WaitTimeoutError(StemwrightError):
    """The separation or the rendering had not ended before the timeout; it continues."""


_BY_STATUS: dict[int, type[ApiError]] = {
    400: InvalidRequestError,
    401: AuthenticationError,
    402: CreditsInsufficientError,
    403: AuthenticationError,
    404: NotFoundError,
    409: ConflictError,
    413: InvalidRequestError,
    422: InvalidRequestError,
    429: TooManyRequestsError,
}


def api_error(status: int, phrase: str, problem: Any) -> ApiError:
    """The error that a reply stands for; ``problem`` is its JSON, or None where it has none."""
    kind = _BY_STATUS.get(status, ServerError if status >= 500 else ApiError)
    if not isinstance(problem, dict):  # something between us and the server answered
        return kind(status, "about:blank", phrase, f"The server answered {status} {phrase}.")
    errors = problem.get("errors")
    fields = tuple(
        FieldError(str(one.get("field", "")), str(one.get("detail", "")))
        for one in (errors if isinstance(errors, list) else ())
        if isinstance(one, dict)
    )
    return kind(
        status,
        str(problem.get("type", "about:blank")),
        str(problem.get("title", phrase)),
        str(problem.get("detail", f"The server answered {status} {phrase}.")),
        fields,
    )
