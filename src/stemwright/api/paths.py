"""Request paths: doubled slashes and a slash at the end are ignored.

A base URL that ends in ``/`` gives paths that begin with ``//``. A redirect does not help: clients repeat a redirected
POST as GET, or not at all.
"""

from __future__ import annotations

import re
from urllib.parse import unquote

from starlette.types import ASGIApp, Receive, Scope, Send

_SLASHES = re.compile(rb"/{2,}")


class PathNormalizer:
    """Middleware that removes such slashes from the path before routing."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request with the normalized path."""
        if scope["type"] == "http":
            raw = scope["raw_path"]
            normalized = normalize_path(raw)
            if normalized != raw:
                scope = {**scope, "raw_path": normalized, "path": unquote(normalized.decode("latin-1"))}
        await self._app(scope, receive, send)


def normalize_path(raw: bytes) -> bytes:
    """``//api//v1/`` as ``/api/v1``. An encoded slash (``%2F``) is part of a name and stays."""
    return _SLASHES.sub(b"/", raw).rstrip(b"/") or b"/"
