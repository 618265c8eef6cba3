"""Who asks our own API: a key, or the session of a browser that was opened with one."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from stemwright.api.authentication import api_key
from stemwright.service.errors import NotPermitted
from stemwright.service.keys import Caller
from stemwright.service.service import Service
from stemwright.service.sessions import Session

PAGE_HEADER = "X-Stemwright-Page"
"""Header that the player sends. Other sites' pages cannot: browsers would ask this server first, with CORS."""

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")


def authenticate(request: Request, service: Service, scope: str) -> Caller:
    """Whose key or session the request carries. A key in a header counts before a session.

    Raises:
        NotAuthenticated: the key or session is missing, wrong, expired or revoked.
        NotPermitted: the key does not have the scope, or another site's page may have sent the request.
    """
    key, token = api_key(request), request.cookies.get(cookie_name(service))
    if key is None and token is not None:
        found = service.sessions.caller(token)
        if request.method not in SAFE_METHODS:
            require_page(request)
    else:
        found = service.keys.authenticate(key)
    found.require(scope)
    return found


def require_page(request: Request) -> None:
    """Refuses requests that another site's page can have a browser send with its cookies.

    Raises:
        NotPermitted: the header of the player is missing.
    """
    if not request.headers.get(PAGE_HEADER):
        raise NotPermitted(
            f"A request with a session needs the header {PAGE_HEADER}; programs send a key in place of it."
        )


def cookie_name(service: Service) -> str:
    """Name of the session cookie. Browsers share cookies between ports, so each server has its own name."""
    return f"stemwright-{service.sessions.server_mark}"


def set_session(service: Service, request: Request, reply: Response, session: Session, *, remember: bool) -> None:
    """Has the browser keep a session, until it is closed or, with ``remember``, until the session expires."""
    reply.set_cookie(
        cookie_name(service),
        session.token,
        max_age=max(0, int(session.expires_at - service.clock())) if remember else None,
        path="/",
        secure=_is_encrypted(service, request),
        httponly=True,
        samesite="strict",
    )


def delete_session(service: Service, request: Request, reply: Response) -> None:
    """Has the browser forget its session."""
    reply.delete_cookie(
        cookie_name(service), path="/", secure=_is_encrypted(service, request), httponly=True, samesite="strict"
    )


def _is_encrypted(service: Service, request: Request) -> bool:
    """Whether the browser speaks HTTPS, to this server or to a proxy in front of it."""
    public = urlsplit(service.settings.public_url or "")
    is_public = public.scheme == "https" and request.headers.get("host") == public.netloc
    return is_public or request.scope["scheme"] == "https"
