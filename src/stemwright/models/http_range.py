"""One HTTP request for a weight file, from its start or from a byte offset."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO
from urllib.parse import urlsplit
from urllib.request import url2pathname

from stemwright.formatting import megabytes, printable
from stemwright.models.weight_file import Version

if TYPE_CHECKING:
    import httpx

MAX_REDIRECTS = 10
_TRANSIENT_STATUSES = (408, 425, 429, 500, 502, 503, 504)
"""Statuses after which a retry may succeed."""

_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)", re.IGNORECASE)
_PIECE_BYTES = 1 << 20


class TransientError(Exception):
    """The download failed, and a retry may succeed. ``wait_s``: seconds to wait, as the server asks."""

    def __init__(self, reason: str, wait_s: float | None = None) -> None:
        super().__init__(reason)
        self.wait_s = wait_s


class FileChangedError(TransientError):
    """The file on the server has changed, so the partial file cannot be resumed."""


class PermanentError(Exception):
    """The file is not available from this URL; do not retry."""


@dataclass(frozen=True)
class DownloadResponse:
    """The body of a response.

    Attributes:
        start_byte: position in the file; 0 if the server ignored the requested range.
        version: version of the file on the server.
        pieces: the bytes as they arrive. There may be too few or too many.
    """

    start_byte: int
    version: Version
    pieces: Iterator[bytes]


@contextmanager
def open_download(
    url: str, *, size_bytes: int, start_byte: int, version: Version | None, connect_s: float, read_s: float
) -> Iterator[DownloadResponse]:
    """Requests the rest of a file. Network errors inside the block are raised as errors of this module.

    Proxies and certificates are taken from the environment. Redirects are followed, but never from https to http.

    Args:
        url: http, https or file.
        size_bytes: size of the whole file.
        start_byte: number of bytes already downloaded.
        version: version of the file they are from, if known.
        connect_s: timeout for connecting.
        read_s: timeout for each read.

    Raises:
        TransientError: a retry may succeed.
        PermanentError: no retry will succeed.
    """
    if url.startswith("file:"):
        with _open_local_file(Path(url2pathname(urlsplit(url).path)), size_bytes) as content:
            content.seek(start_byte)
            yield DownloadResponse(start_byte, Version(without_credentials(url), "", ""), _read(content))
        return
    import httpx

    headers = {"Accept-Encoding": "identity", "User-Agent": _user_agent()}
    if start_byte:
        headers["Range"] = f"bytes={start_byte}-"
        if version is not None and version.url == without_credentials(url) and version.condition:
            headers["If-Range"] = version.condition
    with _translated_errors(url, read_s), _client(httpx.Timeout(read_s, connect=connect_s)) as client:
        response = _follow(client, client.build_request("GET", url, headers=headers))
        try:
            yield _checked_response(response, url, size_bytes, start_byte, version)
        finally:
            response.close()


def without_credentials(url: str) -> str:
    """The URL without user name and password, safe to show and store."""
    return printable(re.sub(r"(?<=//)[^/]*@", "", url))


def _user_agent() -> str:
    from stemwright import __version__

    return f"Stemwright/{__version__}"


def _client(timeout: httpx.Timeout) -> httpx.Client:
    import httpx

    try:
        return httpx.Client(timeout=timeout)
    except (ImportError, ValueError) as error:
        raise PermanentError(f"the proxy that the environment names cannot be used ({error})") from error
    except OSError as error:
        raise PermanentError(f"the certificates that SSL_CERT_FILE names cannot be read ({error})") from error


def _follow(client: httpx.Client, request: httpx.Request) -> httpx.Response:
    """The response after all redirects; its body is not read yet."""
    for _ in range(MAX_REDIRECTS + 1):
        response = client.send(request, stream=True)
        if not response.has_redirect_location or response.next_request is None:
            return response
        response.close()
        before, request = request.url, response.next_request
        if request.url.scheme not in ("http", "https") or (before.scheme, request.url.scheme) == ("https", "http"):
            raise PermanentError(
                f"{before.host} redirects from {before.scheme} to {request.url.scheme}, which is not safe"
            )
    raise PermanentError(f"more than {MAX_REDIRECTS} redirects")


def _checked_response(
    response: httpx.Response, url: str, size_bytes: int, start_byte: int, version: Version | None
) -> DownloadResponse:
    host, status, headers = response.url.host, response.status_code, response.headers
    if status == 416 and start_byte:
        raise FileChangedError(f"{host} has no byte {start_byte}", wait_s=0.0)
    if status not in (200, 206):
        reason = f"{host} answers {status} {printable(response.reason_phrase)}".rstrip()
        if status in _TRANSIENT_STATUSES:
            raise TransientError(reason, _retry_after_s(headers.get("retry-after", "")))
        raise PermanentError(reason)
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise PermanentError(f"{host} sends it compressed, though asked not to")
    received = Version(without_credentials(url), headers.get("etag", ""), headers.get("last-modified", ""))
    if status == 206:
        content_range = _RANGE.fullmatch(headers.get("content-range", "").strip())
        if (
            content_range is None
            or int(content_range[1]) != start_byte
            or content_range[2] not in ("*", str(size_bytes))
        ):
            raise FileChangedError(f"{host} sends another part than was asked for", wait_s=0.0)
        if version is not None and version.contradicts(received):
            raise FileChangedError(f"{host} has another file than before", wait_s=0.0)
        return DownloadResponse(start_byte, received, response.iter_raw())
    length = headers.get("content-length")
    if length is not None and int(length) != size_bytes:  # the headers were checked to be numbers
        raise PermanentError(
            f"what {host} sends has {megabytes(int(length))} ({length} bytes) instead of {megabytes(size_bytes)} "
            f"({size_bytes} bytes), so it is another file, or a page that something on the way put in its place"
        )
    return DownloadResponse(0, received, response.iter_raw())


def _retry_after_s(header: str) -> float | None:
    """Seconds to wait by Retry-After, which is a number or a date; None if it is neither."""
    if header.strip().isascii() and header.strip().isdigit():
        return float(header)
    try:
        return max(0.0, (parsedate_to_datetime(header) - datetime.now(UTC)).total_seconds())
    except (TypeError, ValueError):
        return None


@contextmanager
def _translated_errors(url: str, read_s: float) -> Iterator[None]:
    """Converts errors of httpx to those of this module."""
    import httpx

    host = urlsplit(url).hostname
    try:
        yield
    except httpx.ConnectTimeout as error:
        raise TransientError(f"{host} could not be reached in time") from error
    except httpx.TimeoutException as error:
        raise TransientError(f"{host} sent nothing for {read_s:g} s") from error
    except httpx.ProxyError as error:
        raise TransientError(f"the proxy that the environment names refused ({_reason(error)})") from error
    except httpx.ConnectError as error:
        if _is_certificate_error(error):
            raise PermanentError(
                f"the certificate of {host} is not trusted here ({_reason(error)}); if your network puts its own in "
                "its place, name its authority in SSL_CERT_FILE"
            ) from error
        raise TransientError(f"{host} could not be reached ({_reason(error)})") from error
    except (httpx.NetworkError, httpx.RemoteProtocolError) as error:
        raise TransientError(f"{host} broke off ({_reason(error)})") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise PermanentError(f"it cannot be asked for ({_reason(error)})") from error


def _is_certificate_error(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _reason(error: Exception) -> str:
    return printable(re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__)


@contextmanager
def _open_local_file(path: Path, size_bytes: int) -> Iterator[BinaryIO]:
    """Opens a file of a local mirror."""
    try:
        content = path.open("rb")
    except OSError as error:
        raise PermanentError(f"{path} cannot be read ({error.strerror or error})") from error
    with content:
        if (found_bytes := os.fstat(content.fileno()).st_size) != size_bytes:
            raise PermanentError(f"{path} has {found_bytes} bytes instead of {size_bytes}, so it is another file")
        yield content


def _read(content: BinaryIO) -> Iterator[bytes]:
    try:
        while piece := content.read(_PIECE_BYTES):
            yield piece
    except OSError as error:  # for example a disconnected disk
        raise TransientError(f"{content.name} cannot be read ({error.strerror or error})") from error
