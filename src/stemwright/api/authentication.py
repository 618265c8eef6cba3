"""Whose request this is. Every face takes the key either way: ``Authorization: Bearer`` or ``x-api-key``."""

from __future__ import annotations

from starlette.requests import Request

from stemwright.service.keys import Caller, Keys


def key_of(request: Request) -> str | None:
    """The key that a request carries."""
    scheme, _, rest = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and rest.strip():
        return rest.strip()
    return request.headers.get("x-api-key") or None


def caller(request: Request, keys: Keys, scope: str) -> Caller:
    """Who asks.

    Raises:
        NotAuthenticated: the key is missing, wrong or revoked.
        NotPermitted: it is not for this.
    """
    found = keys.authenticate(key_of(request))
    found.require(scope)
    return found
