"""Whether other machines can reach this server."""

from __future__ import annotations

import httpx

from stemwright.service.ip_addresses import is_loopback
from stemwright.settings import Settings


def is_private(settings: Settings) -> bool:
    """Whether only this machine can reach the server: it listens on loopback, without a proxy or a public name."""
    public = httpx.URL(settings.public_url).host if settings.public_url else "localhost"
    return is_loopback(settings.host) and is_loopback(public) and not settings.trusted_proxies
