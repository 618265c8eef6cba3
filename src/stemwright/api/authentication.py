"""The API key of a request. All APIs accept it in ``Authorization``, with or without ``Bearer``, or in ``x-api-key``."""

from __future__ import annotations

from fastapi import Depends
from fastapi.params import Depends as Dependency
from fastapi.security import APIKeyHeader, HTTPBearer
from starlette.requests import Request

from stemwright.service.keys import Caller, Keys


def api_key(request: Request) -> str | None:
    """The key that a request carries."""
    authorization, x_api_key = request.headers.get("authorization", ""), request.headers.get("x-api-key", "")
    if (key := _bearer_token(authorization)) is not None:
        return key
    if x_api_key.strip():
        return _bearer_token(x_api_key) or x_api_key.strip()
    # Some clients send the key in Authorization without the word Bearer.
    words = authorization.split()
    return words[0] if len(words) == 1 and words[0].lower() != "bearer" else None


def _bearer_token(value: str) -> str | None:
    scheme, _, rest = value.strip().partition(" ")
    return rest.strip() or None if scheme.lower() == "bearer" else None


def authenticate(request: Request, keys: Keys, scope: str) -> Caller:
    """Whose key the request carries.

    Raises:
        NotAuthenticated: the key is missing, wrong or revoked.
        NotPermitted: the key does not have the scope.
    """
    found = keys.authenticate(api_key(request))
    found.require(scope)
    return found


def key_schemes() -> list[Dependency]:
    """Route dependencies that document in OpenAPI where the key is sent. They check nothing."""
    return [Depends(HTTPBearer(auto_error=False)), Depends(APIKeyHeader(name="x-api-key", auto_error=False))]
