"""Pages for browsers: the start page ``/`` and the API reference ``/docs``. They load nothing from other hosts."""

from __future__ import annotations

from html import escape
from importlib import resources
from importlib.resources.abc import Traversable
from string import Template

from fastapi import APIRouter
from starlette.responses import Response

import stemwright
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
    """``/`` and ``/docs`` with their files."""
    pages = APIRouter(include_in_schema=False)
    own, swagger = resources.files("stemwright.web"), resources.files("fastapi_swagger") / "resources"
    welcome = Template(_read_text(own / "welcome.html")).substitute(
        version=escape(stemwright.__version__), url=escape(public_url(service.settings))
    )
    _add_page(pages, "/", welcome, "text/html")
    _add_page(pages, "/page.css", _read_text(own / "page.css"), "text/css")
    _add_page(pages, "/docs", _read_text(own / "docs.html"), "text/html")
    _add_page(pages, "/docs/docs.css", _read_text(own / "docs.css"), "text/css")
    _add_page(pages, "/docs/docs.js", _read_text(own / "docs.js"), "text/javascript")
    _add_page(pages, "/docs/swagger-ui.css", swagger / "swagger-ui.css", "text/css")
    _add_page(pages, "/docs/swagger-ui-bundle.js", swagger / "swagger-ui-bundle.js", "text/javascript")
    return pages


def _add_page(pages: APIRouter, path: str, content: str | Traversable, media_type: str) -> None:
    """Adds a page or one of its files. A ``Traversable`` is read for each request and not kept in memory."""

    def page() -> Response:
        body = content if isinstance(content, str) else _read_text(content)
        return Response(body, media_type=media_type, headers=HEADERS)

    pages.add_api_route(path, page, methods=["GET", "HEAD"])


def _read_text(file: Traversable) -> str:
    return file.read_text(encoding="utf-8")
