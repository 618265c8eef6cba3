"""What can be wrong with a request, as the domain sees it. ``code`` is the number that the faces give it."""

from __future__ import annotations

from stemwright.errors import StemwrightError, UsageError


class ServiceError(StemwrightError):
    """Base of all of them. On the command line they say that what was named there makes no sense."""

    code = 500
    exit_code = UsageError.exit_code


class InvalidRequest(ServiceError):
    """A field is missing or wrong."""

    code = 422

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field


class RecordMissing(ServiceError):
    """The ids of a source lead to nothing."""

    code = 422


class NotFound(ServiceError):
    """The account has no such thing."""

    code = 404


class NotAuthenticated(ServiceError):
    """The key is missing, wrong or revoked."""

    code = 401


class NotPermitted(ServiceError):
    """The key is not for this."""

    code = 403


class InsufficientCredits(ServiceError):
    """The account cannot pay."""

    code = 402


class RateLimited(ServiceError):
    """Too many requests in a short time."""

    code = 429

    def __init__(self, message: str, retry_after_s: float) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s


class TooManyRunning(ServiceError):
    """The account has as many tasks under way as it may."""

    code = 429


class TooManyStreams(ServiceError):
    """The account has as many streams of events open as it may."""

    code = 429


class StreamLimitReached(ServiceError):
    """The server has as many streams of events open as it may."""

    code = 503


class UnderMaintenance(ServiceError):
    """No new work is taken for now."""

    code = 455


class SwitchedOff(ServiceError):
    """The operator does not offer this."""

    code = 505


class Conflict(ServiceError):
    """It contradicts what was there before."""

    code = 409


class TooLarge(ServiceError):
    """More bytes than are taken."""

    code = 413


class QuotaExceeded(ServiceError):
    """The account keeps as many bytes as it may."""

    code = 413


class SourceUnavailable(ServiceError):
    """The song could not be fetched."""

    code = 451


class UrlRefused(SourceUnavailable):
    """The address leads where this server does not go."""


class UpstreamTimeout(ServiceError):
    """The vendor did not answer in time."""

    code = 408
