"""Who can reach this server: this machine alone, or others too."""

from __future__ import annotations

import httpx

from stemwright.service.ip_addresses import is_loopback
from stemwright.settings import Settings


def is_private(settings: Settings) -> bool:
    """Whether only this machine reaches the server: it listens on loopback, without a proxy and without a public name."""
    public = httpx.URL(settings.public_url).host if settings.public_url else "localhost"
    return is_loopback(settings.host) and is_loopback(public) and not settings.trusted_proxies
