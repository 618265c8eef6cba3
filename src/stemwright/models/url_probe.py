"""Asks a URL what it has, without downloading it: a HEAD, and a GET of the first kilobyte."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import url2pathname

from stemwright.models import http_refusals
from stemwright.models.download_errors import DownloadFault, PermanentError, digest_differs
from stemwright.models.http_client import request
from stemwright.models.weight_file import WeightFile

if TYPE_CHECKING:
    import httpx

PROBE_BYTES = 1024

_WHOLE_SIZE = re.compile(r"bytes 0-\d+/(\d+)", re.IGNORECASE)


@dataclass(frozen=True)
class UrlFacts:
    """What a URL has.

    Attributes:
        size_bytes: size of the whole file; None if the host does not state it.
        etag: header ETag; empty if missing.
        stated_sha256: digest, where the host states it; else empty.
        sends_parts: whether a download can be resumed.
    """

    size_bytes: int | None
    etag: str
    stated_sha256: str
    sends_parts: bool


def probe(url: str, size_bytes: int | None = None, *, connect_s: float = 10.0, read_s: float = 30.0) -> UrlFacts:
    """What a URL has, by HEAD where the host answers that, and by its first kilobyte.

    Args:
        url: http, https or file.
        size_bytes: size that the file should have; None if that is not known.
        connect_s: timeout for connecting.
        read_s: timeout for each read.

    Raises:
        PermanentError: the file is not there, has another size, or a web page stands in its place.
        TransientError: the host did not answer, or only that it is busy.
    """
    if url.startswith("file:"):
        return _local(Path(url2pathname(urlsplit(url).path)), size_bytes)
    length_bytes, etag = None, ""
    with suppress(DownloadFault), request("HEAD", url, {}, connect_s=connect_s, read_s=read_s) as answer:
        if answer.response.status_code == 200:  # some hosts refuse HEAD: the GET decides
            length_bytes, etag = _length(answer.response), answer.response.headers.get("etag", "")
    wanted = {"Range": f"bytes=0-{PROBE_BYTES - 1}"}
    with request("GET", url, wanted, connect_s=connect_s, read_s=read_s) as answer:
        response, headers = answer.response, answer.response.headers
        if response.status_code not in (200, 206):
            raise http_refusals.by_status(answer.host, response.status_code, response.reason_phrase, headers)
        http_refusals.check_beginning(answer.host, response.iter_raw())
        found_bytes = _length(response) or length_bytes
        http_refusals.check_length(answer.host, found_bytes, size_bytes, headers.get("content-type", ""))
        return UrlFacts(found_bytes, headers.get("etag", "") or etag, answer.stated_sha256, response.status_code == 206)


def check(url: str, file: WeightFile, *, connect_s: float = 10.0, read_s: float = 30.0) -> UrlFacts:
    """What a URL has, if by all that the host states it is the file of the registry.

    Raises:
        PermanentError: it is not.
        TransientError: the host did not answer, or only that it is busy.
    """
    facts = probe(url, file.size_bytes, connect_s=connect_s, read_s=read_s)
    if facts.stated_sha256 not in ("", file.sha256):
        raise digest_differs(file, facts.stated_sha256, "")
    return facts


def _local(path: Path, size_bytes: int | None) -> UrlFacts:
    try:
        found_bytes = path.stat().st_size
    except OSError as error:
        raise PermanentError(f"{path} cannot be read ({error.strerror or error})", "gone") from error
    http_refusals.check_length(str(path.parent), found_bytes, size_bytes, "")
    return UrlFacts(found_bytes, "", "", True)


def _length(response: httpx.Response) -> int | None:
    """Size of the whole file by the headers of a response, also to a request for a part."""
    if response.status_code == 206:
        content_range = _WHOLE_SIZE.fullmatch(response.headers.get("content-range", "").strip())
        return None if content_range is None else int(content_range[1])
    length = response.headers.get("content-length")  # the headers were checked to be numbers
    return None if length is None else int(length)
