"""SSRF guard: the client URLs that this server may connect to."""

from __future__ import annotations

import queue
import re
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx

from stemwright.service.errors import InvalidRequest, SourceUnavailable, UrlRefused
from stemwright.service.ip_addresses import is_public, parse_address
from stemwright.service.public_access import is_private
from stemwright.settings import Settings

Resolver = Callable[[str, int], Sequence[str]]
"""Resolves a host to addresses, for a port. Raises OSError if it has none."""

MAX_URL_LENGTH = 4096

_LABEL = r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(\.{_LABEL})*")
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")

# Web servers use 80, 443 and ports above 1023. These others are also blocked by browsers: services that could take an
# HTTP request for their own protocol.
_DANGEROUS_PORTS = frozenset(
    {1719, 1720, 1723, 2049, 3659, 4045, 4190, 5060, 5061, 6000, 6566, 6665, 6666, 6667, 6668, 6669, 6679, 6697, 10080}
)


@dataclass(frozen=True)
class ParsedUrl:
    """A parsed URL.

    Attributes:
        scheme: ``http`` or ``https``.
        host: ASCII name without a trailing dot, or an address without brackets.
        port: the TCP port.
        target: path and query, as in the request line.
        has_login: whether it contains a user or a password.
    """

    scheme: str
    host: str
    port: int
    target: bytes
    has_login: bool

    @property
    def authority(self) -> str:
        """Value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _default_port(self.scheme) else f"{host}:{self.port}"


def check_syntax(url: object, field: str = "url") -> None:
    """Checks that a value from a client is an HTTP or HTTPS URL. The destination is checked when it is used.

    Raises:
        InvalidRequest: it is not; ``field`` is the client's name for it.
    """
    try:
        parse_url(url)
    except ValueError as error:
        raise InvalidRequest(
            field, f"{field} must be a whole http:// or https:// URL, as https://example.com/song.mp3: {error}."
        ) from error


def parse_url(url: object) -> ParsedUrl:
    """Parses a URL.

    Raises:
        ValueError: it is malformed; the message says how.
    """
    if not isinstance(url, str) or not url.strip():
        raise ValueError("it is not text" if url and not isinstance(url, str) else "it is empty")
    if len(url) > MAX_URL_LENGTH:
        raise ValueError(f"it is longer than {MAX_URL_LENGTH} characters")
    try:
        parsed = httpx.URL(url)
    except (httpx.InvalidURL, UnicodeError) as error:
        raise ValueError("it cannot be read as a URL") from error
    if parsed.scheme not in ("http", "https"):
        raise ValueError("it begins with neither http:// nor https://")
    host = parsed.raw_host.decode("ascii").lower()
    host = host[:-1] if host.endswith(".") else host
    if len(host) > 253 or not (_NAME.fullmatch(host) or parse_address(host)):
        raise ValueError("its host is neither a name nor an address")
    port = _default_port(parsed.scheme) if parsed.port is None else parsed.port
    if not 0 < port < 65536:
        raise ValueError("its port is not between 1 and 65535")
    return ParsedUrl(parsed.scheme, host, port, parsed.raw_path, bool(parsed.userinfo))


def resolve(host: str, port: int) -> Sequence[str]:
    """Resolves a host with the system resolver."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class SsrfGuard:
    """Checks the destinations of URLs. Thread-safe."""

    def __init__(self, settings: Settings, resolver: Resolver = resolve) -> None:
        """Creates a guard from the operator's settings.

        Hosts in ``allowed_hosts`` may have any address and port. Loopback is allowed while only this machine can reach
        the server: it listens on loopback, without a proxy or a public name.
        """
        self._offline = settings.offline
        self._allowed = frozenset(name.lower().strip("[]").rstrip(".") for name in settings.allowed_hosts)
        self.allow_loopback = is_private(settings)
        self._resolver = resolver

    def check(self, destination: ParsedUrl) -> None:
        """Checks a destination as far as possible before the host is resolved.

        Raises:
            UrlRefused: this server does not connect to it.
        """
        if self._offline:
            raise UrlRefused(
                "This server is set to connect to no other machine (STEMWRIGHT_OFFLINE): upload the file instead."
            )
        if destination.host in self._allowed:
            return
        if destination.has_login:
            raise UrlRefused(
                "The URL contains a user name or a password, which this server never sends: give a URL without them."
            )
        port = destination.port
        if (port < 1024 and port not in (80, 443)) or port in _DANGEROUS_PORTS:
            raise UrlRefused(f"This server does not connect to port {port}: use 80, 443 or a port above 1023.")
        if parse_address(destination.host) is None and _NUMBER.fullmatch(destination.host.rpartition(".")[2]):
            raise UrlRefused(f"{destination.host} looks like an IP address: write it as four decimal numbers.")

    def addresses(self, host: str, port: int, timeout_s: float) -> Sequence[str]:
        """Resolves a host and checks all its addresses. Connect to these; do not resolve the host again.

        Args:
            host: name or address.
            port: TCP port.
            timeout_s: limit for resolution.

        Raises:
            UrlRefused: one of the addresses is not public.
            SourceUnavailable: the host is unknown, or resolution timed out.
        """
        literal = parse_address(host)
        found = [host] if literal is not None else self._resolved(host, port, timeout_s)
        if not found:
            raise SourceUnavailable(f"The host {host} has no address: check its name.")
        if host not in self._allowed and not all(self._may_reach(address) for address in found):
            raise UrlRefused(
                f"{host} has an address that is not public, to which this server does not connect: "
                "its operator can allow the host by name (STEMWRIGHT_ALLOWED_HOSTS)."
            )
        return found

    def _may_reach(self, text: str) -> bool:
        address = parse_address(text)
        if address is None:
            return False
        return is_public(address) or (self.allow_loopback and address.is_loopback)

    def _resolved(self, host: str, port: int, timeout_s: float) -> Sequence[str]:
        # The system resolver has no timeout, and the owner of a name controls how slowly it is answered.
        answers: queue.SimpleQueue[Sequence[str] | Exception] = queue.SimpleQueue()

        def ask() -> None:
            try:
                answers.put(self._resolver(host, port))
            except (OSError, UnicodeError) as error:
                answers.put(error)

        threading.Thread(target=ask, name="resolver", daemon=True).start()
        try:
            answer = answers.get(timeout=max(0.0, timeout_s))
        except queue.Empty:
            raise SourceUnavailable(f"The address of {host} was not found in time: try again later.") from None
        if isinstance(answer, Exception):
            raise SourceUnavailable(f"The host {host} is not known: check its name.") from answer
        return answer


def _default_port(scheme: str) -> int:
    return 443 if scheme == "https" else 80
