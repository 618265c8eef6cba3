"""Serves files by their signed links: stems, tracks and uploads. Where an object store can, it sends the bytes itself."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from stemwright.api.problems import ProblemRoute, problem_response, problem_responses
from stemwright.formatting import printable
from stemwright.service.errors import NotFound
from stemwright.service.linked_files import LinkedFile, find_linked_file
from stemwright.service.links import Link
from stemwright.service.media_types import MEDIA_TYPES, UNKNOWN
from stemwright.service.service import Service
from stemwright.storage.blob import FileLink

CACHE_S = 3600
"""How long a browser may cache a file that does not change; then it asks again, so that expiry takes effect."""

DIRECT_LINK_S = 3600
"""How long a link to the object store is valid, in seconds; a download may last longer. Ours lives on."""

REDIRECT_CACHE_S = 300
"""How long a browser may use such a link without asking again: less than keys of a role are good for."""

_CORS_HEADERS = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Expose-Headers": "Accept-Ranges, Content-Disposition, Content-Length, Content-Range, ETag",
    "Cross-Origin-Resource-Policy": "cross-origin",
}
_SANDBOX = "default-src 'none'; media-src 'self'; img-src 'self'; style-src 'unsafe-inline'; sandbox"
"""An uploaded file that is opened in a browser can run no script and load nothing."""

_CONTENT: dict[str, Any] = {media_type: {} for media_type in dict.fromkeys([*MEDIA_TYPES.values(), UNKNOWN])}

_RESPONSES: dict[int | str, dict[str, Any]] = {
    200: {"description": "The file", "content": _CONTENT},
    206: {"description": "A range of it", "content": _CONTENT},
    304: {"description": "The client has it already"},
    307: {"description": "The object store sends the file: make the request again at `Location`, without the key"},
    **problem_responses(404, 410, 416),
}

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)


def router(service: Service) -> APIRouter:
    """GET, HEAD and OPTIONS of ``/s/`` (stems), ``/t/`` (tracks) and ``/u/`` (uploads); the link is the authorization."""
    routes = APIRouter(tags=["files"], route_class=ProblemRoute)

    def file_endpoint(letter: str) -> Callable[[str, Request], Response]:
        def get_file(link: str, request: Request) -> Response:
            return _file_response(service, request, service.links.read(f"/{letter}/{link}"))

        return get_file

    def get_without_link(request: Request) -> Response:
        return _file_response(service, request, None)

    def preflight() -> Response:
        allowed = {"Access-Control-Allow-Methods": "GET, HEAD", "Access-Control-Allow-Headers": "Range, If-Range"}
        return Response(status_code=204, headers=_CORS_HEADERS | allowed)

    for letter, thing in (("s", "stem"), ("t", "track"), ("u", "upload")):
        path, get_file = f"/{letter}/{{link:path}}", file_endpoint(letter)
        routes.add_api_route(
            path,
            get_file,
            methods=["GET"],
            name=f"get_{thing}_file",
            summary=f"The file of {'an' if thing == 'upload' else 'a'} {thing}, whole or a range of it",
            description="`?download=1` has a browser save it instead of playing it.",
            response_class=StreamingResponse,
            responses=_RESPONSES,
        )
        routes.add_api_route(path, get_file, methods=["HEAD"], include_in_schema=False)
        routes.add_api_route(path, preflight, methods=["OPTIONS"], include_in_schema=False)
        routes.add_api_route(f"/{letter}", get_without_link, methods=["GET", "HEAD"], include_in_schema=False)
    return routes


def _file_response(service: Service, request: Request, link: Link | None) -> Response:
    if link is None:
        return _problem(404, "This link is not valid: copy the whole link as the server returned it.")
    if service.links.has_expired(link):
        return _problem(410, "This link has expired: read the task again, or create the file again.")
    try:
        file = find_linked_file(service.database, link)
    except NotFound as error:
        return _problem(404, str(error))
    return _redirect(service, request, link, file) or _send_file(service, request, file)


def _redirect(service: Service, request: Request, link: Link, file: LinkedFile) -> Response | None:
    """A redirect to the object store; None if this server sends the file itself."""
    if file.may_change and "if-range" in request.headers:
        return None  # stores ignore it, and a client would join pieces of two files
    if etag_matches(request.headers.get("if-none-match", ""), f'"{file.digest}"'):
        return None
    left_s = max(1, int(link.expires_at - service.clock()))
    direct = FileLink(
        method="HEAD" if request.method == "HEAD" else "GET",
        seconds=min(DIRECT_LINK_S, left_s),
        media_type=file.media_type,
        disposition=_disposition(file.name, save="download" in request.query_params),
        cache_control=_cache_control(file),
    )
    url = service.store.url(file.digest, direct)
    if url is None:
        return None
    may_cache = request.method == "GET" and not file.may_change
    headers = _CORS_HEADERS | {
        "Cache-Control": f"private, max-age={min(REDIRECT_CACHE_S, left_s)}" if may_cache else "no-store",
        "Location": url,
        "Referrer-Policy": "no-referrer",
    }
    return Response(status_code=307, headers=headers)


def _cache_control(file: LinkedFile) -> str:
    return "private, no-transform, " + ("no-cache" if file.may_change else f"max-age={CACHE_S}, immutable")


def _send_file(service: Service, request: Request, file: LinkedFile) -> Response:
    if not service.store.exists(file.digest):
        logging.getLogger(__name__).error("the file %s is lost", file.digest)
        return _problem(404, "This file is lost: create it again.")
    etag = f'"{file.digest}"'
    headers = _CORS_HEADERS | {
        "Accept-Ranges": "bytes",
        "Cache-Control": _cache_control(file),
        "Content-Disposition": _disposition(file.name, save="download" in request.query_params),
        "Content-Security-Policy": _SANDBOX,
        "Content-Type": file.media_type,
        "ETag": etag,
        "X-Content-Type-Options": "nosniff",
    }
    if etag_matches(request.headers.get("if-none-match", ""), etag):
        return Response(status_code=304, headers=headers)
    size = file.size_bytes
    start, end, status = 0, size, 200
    range_header = request.headers.get("range")
    if range_header and request.method == "GET" and request.headers.get("if-range", etag) == etag:
        byte_range = parse_range(range_header, size)
        if byte_range is not None and byte_range[0] >= byte_range[1]:
            outside = f"The file has {size} bytes: request a range within them."
            return _problem(416, outside, {"Content-Range": f"bytes */{size}"})
        if byte_range is not None:
            (start, end), status = byte_range, 206
            headers["Content-Range"] = f"bytes {start}-{end - 1}/{size}"
    headers["Content-Length"] = str(end - start)
    chunks: Iterator[bytes] = iter(())
    if request.method == "GET" and end > start:
        chunks = service.store.read(file.digest, start, end)
    return StreamingResponse(chunks, status, headers)


def parse_range(header: str, size: int) -> tuple[int, int] | None:
    """The first byte and the one after the last of a ``Range`` header.

    Returns:
        None if the header must be ignored (RFC 9110, 14.2): it is malformed, or has several ranges, which a server need
        not support. For a range outside the file, the end is not greater than the start.
    """
    match = _RANGE.fullmatch(header.strip())
    if match is None:
        return None
    first, last = match.groups()
    if not first:
        return (max(0, size - int(last)), size) if last else None
    if last and int(last) < int(first):
        return None
    return int(first), min(size, int(last) + 1) if last else size


def etag_matches(header: str, etag: str) -> bool:
    """Whether an ``If-None-Match`` header names the tag."""
    return header.strip() == "*" or etag in (one.strip().removeprefix("W/") for one in header.split(","))


def _disposition(name: str, *, save: bool) -> str:
    plain = printable(name).replace("/", "_").replace("\\", "_")
    ascii_name = plain.encode("ascii", "replace").decode().replace("?", "_").replace('"', "'")
    return f"{'attachment' if save else 'inline'}; filename=\"{ascii_name}\"; filename*=UTF-8''{quote(plain, safe='')}"


def _problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Response:
    return problem_response(HTTPException(status, detail, headers=_CORS_HEADERS | (headers or {})))
