"""Where a weight file is downloaded from: its publisher, its mirrors, or a mirror of the user."""

from __future__ import annotations

import os
from urllib.parse import quote, urlsplit

from stemwright.errors import UsageError
from stemwright.models.http_client import without_credentials
from stemwright.models.weight_file import WeightFile


def urls(file: WeightFile, mirror: str | None = None) -> tuple[str, ...]:
    """URLs of a file in the order in which they are tried; empty if none is known.

    Args:
        file: the file.
        mirror: URL of a folder (https, http or file) that has the file under its name; ``STEMWRIGHT_MODEL_MIRROR`` if
            None. If there is one, the file's own URLs are not used.

    Raises:
        UsageError: the mirror is not a URL.
    """
    base = mirror or os.environ.get("STEMWRIGHT_MODEL_MIRROR", "").strip()
    if not base:
        return tuple(url for url in (file.url, *file.mirrors) if is_http_url(url))
    if not (is_http_url(base) or is_file_url(base)):
        raise UsageError(
            f"The mirror '{without_credentials(base)}' is not valid: set STEMWRIGHT_MODEL_MIRROR to the URL of a folder, "
            "such as https://host/models or file:///media/models."
        )
    parts = urlsplit(base)
    return (parts._replace(path=f"{parts.path.rstrip('/')}/{quote(file.name)}").geturl(),)


def is_http_url(url: str) -> bool:
    """Whether a URL is one of the web."""
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def is_file_url(url: str) -> bool:
    """Whether a URL is one of a folder of this machine."""
    return url.startswith("file:///")
