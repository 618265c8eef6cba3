"""Opens an object store: where it is, whose keys, and how long it may be unreachable."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import TYPE_CHECKING

from obstore.exceptions import BaseError
from obstore.store import AzureStore, GCSStore, ObjectStore, S3Store

from stemwright.errors import UsageError
from stemwright.storage.bucket_url import BucketUrl
from stemwright.storage.s3 import S3Bucket

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig, S3Config

IDLE_TIMEOUT_S = 30.0
"""Seconds without a byte after which a request is made again, or continued where it was."""

CONNECT_TIMEOUT_S = 5.0


def connect(place: BucketUrl, s3: S3Bucket | None, patience_s: float) -> ObjectStore:
    """A store whose requests are made again for ``patience_s`` seconds while it does not answer. Sends nothing yet.

    Args:
        place: where it is.
        s3: has the keys of an S3 bucket; those of other stores are in the environment.
        patience_s: in all, for one request.

    Raises:
        UsageError: the environment is not enough for this kind of store.
    """
    prefix = place.prefix or None
    try:
        match place.scheme:
            case "s3":
                assert s3 is not None
                return S3Store(
                    place.bucket,
                    prefix=prefix,
                    config=_s3_config(place),
                    client_options=_client_options(patience_s, allow_http=(place.endpoint or "").startswith("http://")),
                    retry_config=_retries(patience_s),
                    credential_provider=s3.credentials,
                )
            case "gs":
                options = _client_options(patience_s, allow_http=True)  # the service account names the server
                return GCSStore(place.bucket, prefix=prefix, client_options=options, retry_config=_retries(patience_s))
            case "az":
                emulated = os.environ.get("AZURE_STORAGE_USE_EMULATOR", "").lower() in ("true", "1")
                options = _client_options(patience_s, allow_http=emulated)
                return AzureStore(
                    place.bucket, prefix=prefix, client_options=options, retry_config=_retries(patience_s)
                )
    except (BaseError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(
            f"STEMWRIGHT_STORAGE_URL cannot be used ({reason}); docs/settings.md lists what it may be."
        ) from error


def _s3_config(place: BucketUrl) -> S3Config:
    # One delete a request: several S3-compatible stores cannot delete many at once.
    config: S3Config = {"virtual_hosted_style_request": place.bucket_in_host, "disable_bulk_delete": True}
    if place.region:
        config["region"] = place.region
    if place.endpoint:
        scheme, _, host = place.endpoint.partition("://")
        config["endpoint"] = f"{scheme}://{place.bucket}.{host}" if place.bucket_in_host else place.endpoint
    return config


def _client_options(patience_s: float, *, allow_http: bool) -> ClientConfig:
    return {
        "allow_http": allow_http,
        "connect_timeout": timedelta(seconds=min(CONNECT_TIMEOUT_S, patience_s)),
        "read_timeout": timedelta(seconds=min(IDLE_TIMEOUT_S, patience_s)),
        "timeout": timedelta(days=1),  # a file may be large and the line thin
    }


def _retries(patience_s: float) -> RetryConfig:
    return {
        "max_retries": 10_000,
        "retry_timeout": timedelta(seconds=patience_s),
        "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=2), "base": 2},
    }
