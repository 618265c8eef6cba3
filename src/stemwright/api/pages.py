"""Pages for browsers: the player ``/``, ``/start`` for programmers and the API reference ``/docs``.

They load nothing from other hosts. The files of the player are plain modules, served as they lie in the package.
"""

from __future__ import annotations

import gzip
import hashlib
from html import escape
from importlib import resources
from importlib.resources.abc import Traversable
from string import Template

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

import stemwright
from stemwright.api.files import etag_matches
from stemwright.service.service import Service, public_url

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
"""No inline scripts, nothing from other hosts. The style sheet of Swagger UI has its images as ``data:`` URLs."""

HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": CONTENT_POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


def router(service: Service) -> APIRouter:
    """All pages with their files."""
    pages = APIRouter(include_in_schema=False)
    own, swagger = resources.files("stemwright.web"), resources.files("fastapi_swagger") / "resources"
    start = Template(_read_text(own / "start.html")).substitute(
        version=escape(stemwright.__version__), url=escape(public_url(service.settings))
    )
    _add_page(pages, "/", _read_text(own / "index.html"), "text/html")
    for name in ("base", "home", "player", "pages"):
        _add_page(pages, f"/web/{name}.css", own / f"{name}.css", "text/css")
    _add_page(pages, "/web/icon.svg", own / "icon.svg", "image/svg+xml")
    for module in sorted((own / "app").iterdir(), key=lambda file: file.name):
        _add_page(pages, f"/web/app/{module.name}", module, "text/javascript")
    _add_page(pages, "/start", start, "text/html")
    _add_page(pages, "/start.css", _read_text(own / "start.css"), "text/css")
    _add_page(pages, "/docs", _read_text(own / "docs.html"), "text/html")
    _add_page(pages, "/docs/docs.css", _read_text(own / "docs.css"), "text/css")
    _add_page(pages, "/docs/docs.js", _read_text(own / "docs.js"), "text/javascript")
    _add_page(pages, "/docs/swagger-ui.css", swagger / "swagger-ui.css", "text/css")
    _add_page(pages, "/docs/swagger-ui-bundle.js", swagger / "swagger-ui-bundle.js", "text/javascript")
    return pages


def _add_page(pages: APIRouter, path: str, content: str | Traversable, media_type: str) -> None:
    """Adds a page or one of its files. A ``Traversable`` is read for each request and not kept in memory."""

    def page(request: Request) -> Response:
        body = (content if isinstance(content, str) else _read_text(content)).encode()
        headers = HEADERS | {"ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"', "Vary": "Accept-Encoding"}
        if etag_matches(request.headers.get("if-none-match", ""), headers["ETag"]):
            return Response(status_code=304, headers=headers)
        if _accepts_gzip(request.headers.get("accept-encoding", "")):
            body, headers = gzip.compress(body, mtime=0), headers | {"Content-Encoding": "gzip"}
        return Response(body, media_type=media_type, headers=headers)

    pages.add_api_route(path, page, methods=["GET", "HEAD"])


def _accepts_gzip(header: str) -> bool:
    """Whether an ``Accept-Encoding`` header allows gzip (RFC 9110, 12.5.3)."""
    offers = (part.strip().lower().replace(" ", "") for part in header.split(","))
    return any(offer == "gzip" or (offer.startswith("gzip;q=") and offer[7:].strip("0.") != "") for offer in offers)


def _read_text(file: Traversable) -> str:
    return file.read_text(encoding="utf-8")
