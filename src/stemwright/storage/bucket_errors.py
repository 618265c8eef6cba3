"""Errors of object stores as one sentence with a remedy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from obstore.exceptions import BaseError, PermissionDeniedError, UnauthenticatedError

from stemwright.errors import StorageError
from stemwright.storage.blob import StoreUnreachable
from stemwright.storage.bucket_url import STORAGE_SETTING, BucketUrl

_CODE = re.compile(r"<Code>(\w+)</Code>|\(code: (\w+)\)")

_KEYS = frozenset(
    (
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "ExpiredToken",
        "InvalidToken",
        "AuthenticationFailed",
        "AuthorizationFailure",
    )
)
_NO_BUCKET = frozenset(("NoSuchBucket", "ContainerNotFound"))
_FULL = frozenset(
    (
        "QuotaExceeded",
        "InsufficientStorage",
        "InsufficientCapacity",
        "XMinioAdminBucketQuotaExceeded",
        "XMinioStorageFull",
    )
)
_CLOCK = frozenset(("RequestTimeTooSkewed", "RequestExpired"))
_REGION = frozenset(("PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException"))
_STATUS = re.compile(r"status code: (\d{3} [A-Za-z ]+)")
_UNAVAILABLE = ("502", "503", "504")
"""What a proxy answers for a store that does not run, and a store that will work later, still after all retries."""

_UNREACHABLE = ("error sending request", "operation timed out", "connection closed", "error decoding response")


@contextmanager
def storage_errors(place: BucketUrl, verb: str) -> Iterator[None]:
    """Raises what obstore raises as StorageErrors. A missing file stays a FileNotFoundError, a missing bucket does not.

    Args:
        place: is named in the sentence.
        verb: what is being done: read, write, list or delete.
    """
    try:
        yield
    except FileNotFoundError as error:
        if _code(error) in _NO_BUCKET:
            raise explained(error, place, verb) from error
        raise
    except (BaseError, OSError) as error:
        raise explained(error, place, verb) from error


def explained(error: Exception, place: BucketUrl, verb: str) -> StorageError:
    """The error in words."""
    code = _code(error)
    if code in _NO_BUCKET:
        return no_bucket(place)
    if code in _KEYS or isinstance(error, UnauthenticatedError):
        return StorageError(
            f"{place} refuses the keys ({code or 'unauthenticated'}): set {_keys(place)} that are valid there."
        )
    if code in _FULL:
        return StorageError(f"{place} is full ({code}): raise its quota, or free some space.")
    if code in _CLOCK:
        return StorageError(f"{place} says that the clock of this machine is wrong ({code}): set it right.")
    if code in _REGION:
        return StorageError(f"{place} is in another region ({code}): set AWS_REGION to the one of the bucket.")
    if isinstance(error, PermissionDeniedError) or code in ("AccessDenied", "AuthorizationPermissionMismatch"):
        return StorageError(
            f"The keys may not {verb} files in {place} ({code or 'forbidden'}): allow them to read, write, list and "
            f"delete there, or set {_keys(place)} of somebody who may; a quota that is used up can look like this too."
        )
    reason = str(error).partition("\n")[0]
    if any(word in reason for word in _UNREACHABLE):
        return StoreUnreachable(
            f"{place} cannot be reached: check that it runs, that this machine may connect to it, and that "
            f"{'AWS_ENDPOINT_URL' if place.scheme == 's3' else place.given_by} is right."
        )
    status = _STATUS.search(reason)
    if status is not None:
        reason = f"{status[1]}, {code}" if code else status[1]
        if reason.startswith(_UNAVAILABLE):
            return StoreUnreachable(f"{place} does not work for now ({reason}): check that it runs.")
    return StorageError(
        f"{place} failed to {verb} a file ({reason}): its own log says why; a store that is full can answer this too."
    )


def no_bucket(place: BucketUrl) -> StorageError:
    """The error for a bucket that does not exist."""
    command = " with `stemwright storage --setup`" if place.scheme == "s3" and place.given_by == STORAGE_SETTING else ""
    return StorageError(
        f"There is no bucket '{place.bucket}' ({place}): create it{command}, or correct {place.given_by}."
    )


def _code(error: Exception) -> str | None:
    """The code in an answer of the store, such as ``NoSuchBucket``."""
    match = _CODE.search(str(error))
    return (match[1] or match[2]) if match else None


def _keys(place: BucketUrl) -> str:
    match place.scheme:
        case "s3":
            return "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
        case "gs":
            return "GOOGLE_SERVICE_ACCOUNT"
        case "az":
            return "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY"
