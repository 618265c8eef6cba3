"""HTTP GET and POST to client URLs, through the SSRF guard, with limits on size and time."""

from __future__ import annotations

import re
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from email.message import Message
from urllib.parse import unquote

import httpcore
import httpx

from stemwright.formatting import megabytes, printable
from stemwright.service.errors import SourceUnavailable
from stemwright.service.pinned_http import USER_AGENT, PinnedResponse, send_request
from stemwright.service.ssrf_guard import ParsedUrl, SsrfGuard, check_syntax, parse_url
from stemwright.settings import Settings
from stemwright.storage.blob_writer import ByteWriter

MAX_REDIRECTS = 5
_UNCOMPRESSED = {"Accept": "*/*", "Accept-Encoding": "identity"}
_REDIRECTS = (301, 302, 303, 307, 308)
_MEDIA_TYPE = re.compile(r"[a-z0-9!#$&^_.+-]{1,60}/[a-z0-9!#$&^_.+-]{1,60}")
_MAX_MEDIA_TYPE = 100
_MAX_FILE_NAME = 200


@dataclass(frozen=True)
class FetchedFile:
    """A fetched file.

    Attributes:
        media_type: from the response, lower case, without parameters; None if missing.
        file_name: from the response or the URL, one line without folders; None if missing.
        size_bytes: bytes passed to the writer.
    """

    media_type: str | None
    file_name: str | None
    size_bytes: int


class Fetcher:
    """HTTP client for untrusted URLs. Thread-safe."""

    def __init__(
        self,
        settings: Settings,
        guard: SsrfGuard | None = None,
        *,
        context: ssl.SSLContext | None = None,
        backend: httpcore.NetworkBackend | None = None,
    ) -> None:
        """Creates a client that connects only where the guard allows.

        Args:
            settings: time limits, and settings of the guard.
            guard: None: created from the settings.
            context: for TLS; None: the default authorities.
            backend: opens connections to checked addresses; None: system sockets.
        """
        self._settings = settings
        self._guard = guard or SsrfGuard(settings)
        self._context = context
        self._backend = backend

    def check_syntax(self, url: object, field: str = "url") -> None:
        """Checks that a value is a URL; see ``ssrf_guard.check_syntax``."""
        check_syntax(url, field)

    def fetch(self, url: str, writer: ByteWriter, max_bytes: int) -> FetchedFile:
        """Fetches a file. Follows redirects and checks each one.

        Args:
            url: the URL.
            writer: receives the bytes; its exceptions are passed on.
            max_bytes: a larger file is an error.

        Raises:
            UrlRefused: this server does not connect to the URL or to a redirect.
            SourceUnavailable: the file is missing, late, incomplete, empty or too large.
        """
        deadline = time.monotonic() + self._settings.fetch_timeout_s
        for _ in range(MAX_REDIRECTS + 1):
            destination = _parsed(url)
            with self._exchange("GET", destination, _UNCOMPRESSED, b"", deadline) as answer:
                if answer.status not in _REDIRECTS:
                    return _receive(answer, destination, writer, max_bytes)
                url = _redirect_target(url, answer.headers.get("location"), destination.host)
        raise SourceUnavailable(f"More than {MAX_REDIRECTS} redirects: give the file's own URL.")

    def post(self, url: str, body: bytes, headers: Mapping[str, str], timeout_s: float) -> int:
        """Posts a body and returns the HTTP status. The response body is not read; redirects are not followed.

        Raises:
            UrlRefused: this server does not connect to the URL.
            SourceUnavailable: the URL is malformed, or there was no response in time.
        """
        with self._exchange("POST", _parsed(url), headers, body, time.monotonic() + timeout_s) as answer:
            return answer.status

    @contextmanager
    def _exchange(
        self, method: str, destination: ParsedUrl, headers: Mapping[str, str], body: bytes, deadline: float
    ) -> Iterator[PinnedResponse]:
        self._guard.check(destination)
        host = destination.host
        try:
            with send_request(
                method,
                destination,
                headers={"User-Agent": USER_AGENT, **headers},
                body=body,
                addresses=self._guard.addresses,
                timeout_s=deadline - time.monotonic(),
                context=self._context,
                backend=self._backend,
            ) as answer:
                yield answer
        except httpcore.TimeoutException as error:
            raise SourceUnavailable(f"{host} did not answer in time: try again later, or give another URL.") from error
        except httpcore.ConnectError as error:
            raise SourceUnavailable(f"{host} could not be reached: check the URL, or try again later.") from error
        except (httpcore.NetworkError, httpcore.ProtocolError) as error:
            raise SourceUnavailable(
                f"{host} closed the connection early, or does not speak HTTP: check the URL, or try again later."
            ) from error


def _parsed(url: str) -> ParsedUrl:
    try:
        return parse_url(url)
    except ValueError as error:
        raise SourceUnavailable(f"The URL is not valid: {error}.") from error


def _redirect_target(url: str, location: str | None, host: str) -> str:
    if not location:
        raise SourceUnavailable(f"{host} sent a redirect without a target: give the file's own URL.")
    try:
        return str(httpx.URL(url).join(location))
    except (httpx.InvalidURL, UnicodeError) as error:
        raise SourceUnavailable(f"{host} redirects to an invalid URL: give the file's own URL.") from error


def _receive(answer: PinnedResponse, source: ParsedUrl, writer: ByteWriter, max_bytes: int) -> FetchedFile:
    if answer.status != 200:
        raise SourceUnavailable(f"{source.host} answered with HTTP status {answer.status} in place of the file.")
    if answer.headers.get("content-encoding", "identity").lower() != "identity":
        raise SourceUnavailable(f"{source.host} sent the file compressed, though it was asked not to.")
    too_large = f"The file is larger than {megabytes(max_bytes)}, the limit of this server: give a smaller one."
    if int(answer.headers.get("content-length", "0")) > max_bytes:
        raise SourceUnavailable(too_large)
    size_bytes = 0
    for piece in answer.pieces:
        size_bytes += len(piece)
        if size_bytes > max_bytes:
            raise SourceUnavailable(too_large)
        writer.write(piece)
    if size_bytes == 0:
        raise SourceUnavailable(f"{source.host} sent an empty file.")
    return FetchedFile(_media_type(answer), _file_name(answer, source), size_bytes)


def _media_type(answer: PinnedResponse) -> str | None:
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind if _MEDIA_TYPE.fullmatch(kind) and len(kind) <= _MAX_MEDIA_TYPE else None


def _file_name(answer: PinnedResponse, source: ParsedUrl) -> str | None:
    message = Message()
    message["Content-Disposition"] = answer.headers.get("content-disposition", "")
    path = source.target.decode("ascii").partition("?")[0]
    name = message.get_filename() or unquote(path)
    name = printable(name.replace("\\", "/").rpartition("/")[2]).strip()[-_MAX_FILE_NAME:]
    return name if name.strip(".") else None
