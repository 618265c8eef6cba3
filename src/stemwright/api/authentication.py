"""Whose request this is. Every face takes the key in ``Authorization``, with or without ``Bearer``, or in ``x-api-key``."""

from __future__ import annotations

from fastapi import Depends
from fastapi.params import Depends as Dependency
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.requests import Request

from stemwright.service.keys import Caller, Keys


def key_of(request: Request) -> str | None:
    """The key that a request carries."""
    authorization, named = request.headers.get("authorization", ""), request.headers.get("x-api-key", "")
    if (key := _after_bearer(authorization)) is not None:
        return key
    if named.strip():
        return _after_bearer(named) or named.strip()
    # Clients that were told "put the key into Authorization" leave the word Bearer out.
    words = authorization.split()
    return words[0] if len(words) == 1 and words[0].lower() != "bearer" else None


def _after_bearer(value: str) -> str | None:
    scheme, _, rest = value.strip().partition(" ")
    return rest.strip() or None if scheme.lower() == "bearer" else None


def caller(request: Request, keys: Keys, scope: str) -> Caller:
    """Who asks.

    Raises:
        NotAuthenticated: the key is missing, wrong or revoked.
        NotPermitted: it is not for this.
    """
    found = keys.authenticate(key_of(request))
    found.require(scope)
    return found


def key_schemes() -> list[Dependency]:
    """Dependencies of a route that tell OpenAPI where the key goes; they check nothing."""
    return [Depends(HTTPBearer(auto_error=False)), Depends(APIKeyHeader(name="x-api-key", auto_error=False))]
