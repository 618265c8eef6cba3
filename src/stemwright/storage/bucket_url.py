"""The URL of an object store, and the environment that says where its servers are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from stemwright.errors import UsageError

Scheme = Literal["s3", "gs", "az"]

_SCHEMES: dict[str, Scheme] = {
    **dict.fromkeys(("s3", "s3a"), "s3"),
    "gs": "gs",
    **dict.fromkeys(("az", "azure", "adl", "abfs", "abfss"), "az"),
}
STORAGE_SETTING = "STEMWRIGHT_STORAGE_URL"
_ENDPOINTS = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_REGIONS = ("AWS_REGION", "AWS_DEFAULT_REGION")


@dataclass(frozen=True)
class BucketUrl:
    """A place in an object store.

    Attributes:
        scheme: kind of store.
        bucket: its bucket, or container.
        prefix: what the names of all files begin with; empty for none.
        endpoint: URL of the server; None for the public cloud of that kind.
        region: of the bucket; S3 alone has one.
        bucket_in_host: whether the bucket's name is the first part of the host name, and not of the path.
        given_by: the setting or the argument that names it, for messages.
    """

    scheme: Scheme
    bucket: str
    prefix: str = ""
    endpoint: str | None = None
    region: str | None = None
    bucket_in_host: bool = False
    given_by: str = STORAGE_SETTING

    def __str__(self) -> str:
        """Where it is, in words for the operator."""
        place = f"{self.scheme}://{self.bucket}" + (f"/{self.prefix}" if self.prefix else "")
        return f"{place} at {self.endpoint}" if self.endpoint else place


def parse_bucket_url(
    url: str, environment: Mapping[str, str] = os.environ, *, given_by: str = STORAGE_SETTING
) -> BucketUrl:
    """Reads ``s3://bucket/prefix``, ``gs://…`` or ``az://…``, and the variables that Amazon's own tools read too.

    Args:
        url: the place.
        environment: the variables.
        given_by: the setting or the argument with the URL, for messages.

    Raises:
        UsageError: no such kind of store, no bucket, or an endpoint that is no URL.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        parts = urlsplit("")
    scheme = _SCHEMES.get(parts.scheme)
    if scheme is None or not parts.netloc or parts.query or parts.fragment or "@" in parts.netloc:
        raise UsageError(
            f"{given_by} cannot be used: write s3://bucket, s3://bucket/prefix, gs://bucket or az://container; "
            "keys and endpoints go into variables of their own (docs/settings.md)."
        )
    prefix = parts.path.strip("/")
    if scheme != "s3":
        return BucketUrl(scheme, parts.netloc, prefix, given_by=given_by)
    name, endpoint = next(((name, environment[name]) for name in _ENDPOINTS if environment.get(name)), ("", ""))
    if endpoint and not endpoint.startswith(("http://", "https://")):
        raise UsageError(f"{name} cannot be used: it must begin with https:// or http://.")
    return BucketUrl(
        scheme,
        parts.netloc,
        prefix,
        endpoint.rstrip("/") or None,
        next((environment[name] for name in _REGIONS if environment.get(name)), None),
        environment.get("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "").lower() in ("true", "1", "yes"),
        given_by,
    )
