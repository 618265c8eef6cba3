"""Errors of requests in the domain layer. ``code`` is the number that the faces return."""

from __future__ import annotations

from stemwright.errors import StemwrightError, UsageError


class ServiceError(StemwrightError):
    """Base class. On the command line these are usage errors."""

    code = 500
    exit_code = UsageError.exit_code


class InvalidRequest(ServiceError):
    """A field is missing or wrong."""

    code = 422

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class RecordMissing(ServiceError):
    """The source ids are unknown."""

    code = 422


class NotFound(ServiceError):
    """The account has no such record."""

    code = 404


class NotAuthenticated(ServiceError):
    """The key is missing, wrong or revoked."""

    code = 401


class LinkUsed(NotAuthenticated):
    """The one-time link was used, or replaced by a later one."""


class NotPermitted(ServiceError):
    """The key lacks the scope."""

    code = 403


class InsufficientCredits(ServiceError):
    """The balance is too low."""

    code = 402


class RateLimited(ServiceError):
    """Too many requests in a short time."""

    code = 429

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooManyRunning(ServiceError):
    """The account has reached its limit of running tasks."""

    code = 429


class TooManyStreams(ServiceError):
    """The account has reached its limit of open event streams."""

    code = 429


class StreamLimitReached(ServiceError):
    """The server has reached its limit of open event streams."""

    code = 503


class PreviewUnavailable(ServiceError):
    """A part of a stored file could not be read for the player: it is damaged, or the server is too busy."""

    code = 503


class UnderMaintenance(ServiceError):
    """The server takes no new work during maintenance."""

    code = 455


class SwitchedOff(ServiceError):
    """The operator has disabled this feature."""

    code = 505


class Conflict(ServiceError):
    """The request conflicts with existing state."""

    code = 409


class TooLarge(ServiceError):
    """The data exceeds the size limit."""

    code = 413


class QuotaExceeded(ServiceError):
    """The account exceeds its storage quota."""

    code = 413


class SourceUnavailable(ServiceError):
    """The song could not be fetched."""

    code = 451


class UrlRefused(SourceUnavailable):
    """This server does not connect to that address."""


class UpstreamTimeout(ServiceError):
    """The vendor's response timed out."""

    code = 408
