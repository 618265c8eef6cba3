"""Answers of file hosts that are not the file: error statuses, web pages, files of another size.

Each becomes one clause that says what the host did, and one that says what helps.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

from stemwright.formatting import megabytes, printable
from stemwright.models.download_errors import LATER, DownloadFault, Kind, PermanentError, TransientError

_TRANSIENT_STATUSES = (408, 425, 429, 500, 502, 503, 504)
"""Statuses after which a retry may succeed."""

_PAGE_TYPES = ("text/html", "application/xhtml", "application/json", "text/xml", "application/xml")
"""Media types of pages and error messages. Not text/plain, which some servers send for every name they do not know."""

_MARKUP = re.compile(rb"\s*(<!doctype|<html|<head|<body|<\?xml|<!--)", re.IGNORECASE)
_TITLE = re.compile(rb"<title[^>]*>(.*?)</title", re.IGNORECASE | re.DOTALL)
_MARKUP_BYTES = 64
_TITLE_BYTES = 16_384
"""How much of a page is read to find its title."""

_TITLE_CHARACTERS = 60

_IN_A_BROWSER = "open it in a browser, which shows whether a login, a consent or a quota stands before the file"
_OTHER_NETWORK = "try from another network, since some hosts refuse countries, proxies or rented servers"
_MOVED = "look at the model's page for its new place, or update Stemwright, which may know it"

_CLAUSES: Mapping[int, tuple[Kind, str, str]] = {
    401: ("needs login", "{host} gives it only after a login", "log in there with a browser"),
    403: ("forbidden", "{host} refuses it to this machine", _OTHER_NETWORK),
    404: ("gone", "{host} no longer has it under this address", _MOVED),
    407: (
        "needs login",
        "the proxy of your network wants a user name and password",
        "add them to the address in HTTPS_PROXY",
    ),
    410: ("gone", "{host} no longer has it under this address", _MOVED),
    451: ("forbidden", "{host} withholds it for legal reasons", _OTHER_NETWORK),
}

_HUB_CLAUSES: Mapping[str, tuple[Kind, str, str]] = {
    "GatedRepo": (
        "needs login",
        "its authors ask for a login at {host} and for consent to their terms",
        "log in there with a browser and consent",
    ),
    "RepoNotFound": ("gone", "{host} no longer has its repository, or not for everyone", _MOVED),
    "RevisionNotFound": ("gone", "{host} no longer has this revision of its repository", _MOVED),
    "EntryNotFound": ("gone", "{host} no longer has it in its repository", _MOVED),
}
"""By the header X-Error-Code of Hugging Face, which answers 401 for repositories that do not exist as well."""


def by_status(host: str, status: int, reason_phrase: str, headers: Mapping[str, str]) -> DownloadFault:
    """The error for a status other than 200 and 206.

    Args:
        host: how the host is named in the sentence.
        headers: of the response; names in lower case.
    """
    answer = f"{status} {printable(reason_phrase) or _phrase(status)}".strip()
    clause = _HUB_CLAUSES.get(headers.get("x-error-code", "")) or _CLAUSES.get(status)
    if clause is not None:
        kind, reason, remedy = clause
        return PermanentError(f"{reason.format(host=host)} ({answer})", kind, remedy)
    if status not in _TRANSIENT_STATUSES:
        return PermanentError(f"{host} answers {answer}", "refused")
    wait_s = _retry_after_s(headers.get("retry-after", ""))
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        when = LATER if not wait_s else f"try again in {math.ceil(wait_s / 60)} min"
        reason = f"{host} limits how much one address may download ({answer})"
        return TransientError(reason, "busy", when, wait_s)
    return TransientError(f"{host} answers {answer}", "busy", wait_s=wait_s)


def check_length(host: str, length_bytes: int | None, size_bytes: int | None, media_type: str) -> None:
    """Checks the length that a host states for the whole file.

    Args:
        length_bytes: what the host states, None for nothing.
        size_bytes: what the file has, None if that is not known.
        media_type: header Content-Type.

    Raises:
        PermanentError: it is another one, or that of a web page.
    """
    if None not in (length_bytes, size_bytes) and length_bytes == size_bytes:
        return
    if media_type.strip().lower().startswith(_PAGE_TYPES):
        raise PermanentError(f"{host} answers with a web page in place of the file", "web page", _IN_A_BROWSER)
    if length_bytes is not None and size_bytes is not None:
        raise PermanentError(
            f"what {host} sends has {megabytes(length_bytes)} ({length_bytes} bytes) instead of {megabytes(size_bytes)} "
            f"({size_bytes} bytes), so it is another file, or a page of a proxy",
            "other file",
            "see on the model's page whether its author has replaced the file, and if so accept its new SHA-256 with "
            "`stemwright models download NAME --accept-digest SHA256`",
        )


def check_beginning(host: str, pieces: Iterator[bytes]) -> bytes:
    """Checks that the first bytes of a body are not those of a web page. No format of weights begins like one.

    Args:
        host: how the host is named in the sentence.
        pieces: the body; its beginning is taken from it.

    Returns:
        The beginning.

    Raises:
        PermanentError: it is a web page; the message has its title.
    """
    beginning = _read(pieces, b"", _MARKUP_BYTES)
    if not _MARKUP.match(beginning.removeprefix(b"\xef\xbb\xbf")):
        return beginning
    title = _TITLE.search(_read(pieces, beginning, _TITLE_BYTES))
    text = " ".join(title[1].decode("utf-8", "replace").split()) if title else ""
    titled = f" titled '{printable(text[:_TITLE_CHARACTERS])}'" if text else ""
    raise PermanentError(f"{host} answers with a web page{titled} in place of the file", "web page", _IN_A_BROWSER)


def _read(pieces: Iterator[bytes], found: bytes, size_bytes: int) -> bytes:
    while len(found) < size_bytes and (piece := next(pieces, b"")):
        found += piece
    return found


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return ""


def _retry_after_s(header: str) -> float | None:
    """Seconds to wait by Retry-After, which is a number or a date; None if it is neither."""
    if header.strip().isascii() and header.strip().isdigit():
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None
