"""Paths as clients write them: a doubled slash and one at the end mean nothing.

A base URL that is pasted with its ``/`` makes every path begin with two of them. Redirects would not do: clients send a
redirected POST again as GET, or not at all.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

_SLASHES = re.compile(rb"/{2,}")


class PathNormalizer:
    """A middleware that takes such slashes out of a request's path, before any face sees it."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Passes a request on."""
        if scope["type"] == "http":
            raw = scope["raw_path"]
            normalized = normalize_path(raw)
            if normalized != raw:
                scope = {**scope, "raw_path": normalized, "path": unquote(normalized.decode("latin-1"))}
        await self._app(scope, receive, send)


def normalize_path(raw: bytes) -> bytes:
    """``//api//v1/`` as ``/api/v1``. Slashes that are written ``%2F`` belong to a name, and stay."""
    return _SLASHES.sub(b"/", raw).rstrip(b"/") or b"/"
