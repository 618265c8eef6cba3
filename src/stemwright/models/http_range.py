"""One HTTP request for a weight file, from its start or from a byte offset."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import BinaryIO
from urllib.parse import urlsplit
from urllib.request import url2pathname

from stemwright.models import http_refusals
from stemwright.models.download_errors import FileChangedError, PermanentError, TransientError
from stemwright.models.http_client import Answer, request, without_credentials
from stemwright.models.part_file import Version

_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)", re.IGNORECASE)
_PIECE_BYTES = 1 << 20


@dataclass(frozen=True)
class DownloadResponse:
    """The body of a response.

    Attributes:
        start_byte: position in the file; 0 if the server ignored the requested range.
        version: version of the file on the server.
        stated_sha256: digest of the file, where the host states it; else empty.
        pieces: the bytes as they arrive. There may be too few or too many.
    """

    start_byte: int
    version: Version
    stated_sha256: str
    pieces: Iterator[bytes]


@contextmanager
def open_download(
    url: str, *, size_bytes: int, start_byte: int, version: Version | None, connect_s: float, read_s: float
) -> Iterator[DownloadResponse]:
    """Requests the rest of a file. Network errors inside the block are raised as errors of ``download_errors``.

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
            yield DownloadResponse(start_byte, Version(without_credentials(url), "", ""), "", _read(content))
        return
    headers = {}
    if start_byte:
        headers["Range"] = f"bytes={start_byte}-"
        if version is not None and version.url == without_credentials(url) and version.condition:
            headers["If-Range"] = version.condition
    with request("GET", url, headers, connect_s=connect_s, read_s=read_s) as answer:
        yield _checked_response(answer, url, size_bytes, start_byte, version)


def _checked_response(
    answer: Answer, url: str, size_bytes: int, start_byte: int, version: Version | None
) -> DownloadResponse:
    response, host = answer.response, answer.host
    status, headers = response.status_code, response.headers
    if status == 416 and start_byte:
        raise FileChangedError(f"{host} has no byte {start_byte}")
    if status not in (200, 206):
        raise http_refusals.by_status(host, status, response.reason_phrase, headers)
    received = Version(without_credentials(url), headers.get("etag", ""), headers.get("last-modified", ""))
    if status == 206:
        content_range = _RANGE.fullmatch(headers.get("content-range", "").strip())
        if (
            content_range is None
            or int(content_range[1]) != start_byte
            or content_range[2] not in ("*", str(size_bytes))
        ):
            raise FileChangedError(f"{host} sends another part than was asked for")
        if version is not None and version.contradicts(received):
            raise FileChangedError(f"{host} has another file than before")
        return DownloadResponse(start_byte, received, answer.stated_sha256, response.iter_raw())
    pieces = response.iter_raw()
    beginning = http_refusals.check_beginning(host, pieces)
    length = headers.get("content-length")  # the headers were checked to be numbers
    http_refusals.check_length(
        host, None if length is None else int(length), size_bytes, headers.get("content-type", "")
    )
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise PermanentError(f"{host} sends it compressed, though asked not to")
    return DownloadResponse(0, received, answer.stated_sha256, chain([beginning], pieces))


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
