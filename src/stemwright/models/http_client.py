"""Requests to the hosts of weight files: redirects, proxies, certificates, and network errors in words."""

from __future__ import annotations

import re
import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from stemwright.formatting import printable
from stemwright.models.download_errors import LATER, PermanentError, TransientError

if TYPE_CHECKING:
    import httpx

MAX_REDIRECTS = 10

_DIGEST = re.compile(r"[0-9a-f]{64}")
_REDIRECTED_FROM = "stemwright_redirected_from"
_ALLOW_HOST = "let your firewall or proxy through to that host too"


@dataclass(frozen=True)
class Answer:
    """A response after all redirects.

    Attributes:
        response: its body is not read yet.
        host: the host for messages, and the one that redirected to it.
        stated_sha256: digest of the file, where the host states it; else empty.
    """

    response: httpx.Response
    host: str
    stated_sha256: str


@contextmanager
def request(method: str, url: str, headers: Mapping[str, str], *, connect_s: float, read_s: float) -> Iterator[Answer]:
    """Sends a request. Network errors, also those inside the block, are raised as errors of ``download_errors``.

    Proxies and certificates are taken from the environment. Redirects are followed, but never from https to http.

    Args:
        method: GET or HEAD.
        url: http or https.
        headers: besides those that name the client and ask for no compression.
        connect_s: timeout for connecting.
        read_s: timeout for each read.

    Raises:
        TransientError: a retry may succeed.
        PermanentError: no retry will succeed.
    """
    import httpx

    ours = {"Accept-Encoding": "identity", "User-Agent": _user_agent()}
    with _translated_errors(url, read_s), _client(httpx.Timeout(read_s, connect=connect_s)) as client:
        answer = _follow(client, client.build_request(method, url, headers={**ours, **headers}))
        try:
            yield answer
        finally:
            answer.response.close()


def without_credentials(url: str) -> str:
    """The URL without user name and password, safe to show and store."""
    return printable(re.sub(r"(?<=//)[^/]*@", "", url))


def _user_agent() -> str:
    from stemwright import __version__

    return f"Stemwright/{__version__}"


def _client(timeout: httpx.Timeout) -> httpx.Client:
    import httpx

    try:
        return httpx.Client(timeout=timeout)
    except (ImportError, ValueError) as error:
        raise PermanentError(f"the proxy that the environment names cannot be used ({error})") from error
    except OSError as error:
        raise PermanentError(f"the certificates that SSL_CERT_FILE names cannot be read ({error})") from error


def _follow(client: httpx.Client, request: httpx.Request) -> Answer:
    first_host, stated_sha256 = request.url.host, ""
    for _ in range(MAX_REDIRECTS + 1):
        response = client.send(request, stream=True)
        stated_sha256 = _stated_sha256(response) or stated_sha256
        if not response.has_redirect_location or response.next_request is None:
            return Answer(response, _named(request), stated_sha256)
        response.close()
        before, request = request.url, response.next_request
        request.extensions[_REDIRECTED_FROM] = first_host
        if request.url.scheme not in ("http", "https") or (before.scheme, request.url.scheme) == ("https", "http"):
            raise PermanentError(
                f"{before.host} redirects from {before.scheme} to {request.url.scheme}, which is not safe"
            )
    raise PermanentError(f"more than {MAX_REDIRECTS} redirects")


def _stated_sha256(response: httpx.Response) -> str:
    """The file's SHA-256, which Hugging Face states beside its redirect."""
    tag: str = response.headers.get("x-linked-etag", "").strip('"').lower()
    return tag if _DIGEST.fullmatch(tag) else ""


def _named(request: httpx.Request) -> str:
    """The host of a request, and the one that redirected to it."""
    host, first_host = request.url.host, request.extensions.get(_REDIRECTED_FROM)
    return host if first_host in (None, host) else f"{host}, to which {first_host} redirects,"


@contextmanager
def _translated_errors(url: str, read_s: float) -> Iterator[None]:
    """Converts errors of httpx to those of ``download_errors``."""
    import httpx

    try:
        yield
    except httpx.ConnectTimeout as error:
        raise TransientError(f"{_named(error.request)} could not be reached in time", remedy=_remedy(error)) from error
    except httpx.TimeoutException as error:
        raise TransientError(f"{_named(error.request)} sent nothing for {read_s:g} s") from error
    except httpx.ProxyError as error:
        raise TransientError(f"the proxy that the environment names refused ({_reason(error)})") from error
    except httpx.ConnectError as error:
        if _is_certificate_error(error):
            raise PermanentError(
                f"the certificate of {_named(error.request)} is not trusted here ({_reason(error)})",
                "unreachable",
                "name the authority of your network's certificates in SSL_CERT_FILE, if it puts its own in their place",
            ) from error
        reason = f"{_named(error.request)} could not be reached ({_reason(error)})"
        raise TransientError(reason, remedy=_remedy(error)) from error
    except (httpx.NetworkError, httpx.RemoteProtocolError) as error:
        raise TransientError(f"{_named(error.request)} broke off ({_reason(error)})") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise PermanentError(f"the request could not be sent ({_reason(error)})") from error


def _remedy(error: httpx.RequestError) -> str:
    return _ALLOW_HOST if _REDIRECTED_FROM in error.request.extensions else LATER


def _is_certificate_error(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, ssl.SSLCertVerificationError):
            return True
        error = error.__cause__ or error.__context__
    return False


def _reason(error: Exception) -> str:
    return printable(re.sub(r"^\[Errno -?\d+\] ", "", str(error)) or type(error).__name__)
