"""An S3 bucket beside its bytes: keys, links that need none, and the bucket's own settings.

obstore moves the bytes. It signs links, but cannot have the store send a media type or a file name with them, and knows
nothing of unfinished uploads and of a bucket's settings; botocore does (docs/decisions/0014-object-store.md).
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from stemwright.errors import StorageError, UsageError
from stemwright.storage.blob import FileLink, StoreUnreachable
from stemwright.storage.bucket_url import BucketUrl

if TYPE_CHECKING:
    from obstore.store import S3Credential

DEFAULT_REGION = "us-east-1"
KEYS_LAST = timedelta(minutes=5)
"""How long obstore may keep keys before it asks again: those of a role change every hour."""


@dataclass(frozen=True)
class UnfinishedUpload:
    """A multipart upload that was not ended: its object's name, id, and when it began."""

    key: str
    id: str
    began_at: datetime


class S3Bucket:
    """A bucket as botocore sees it. Thread-safe."""

    def __init__(self, place: BucketUrl, public_url: str | None = None) -> None:
        """Finds the keys: in the environment, in Amazon's files, or those of the role that the machine has.

        Args:
            place: the bucket.
            public_url: URL of the store for clients, where it is not the endpoint that the server uses.

        Raises:
            UsageError: botocore is not installed, or there are no keys.
        """
        try:
            from botocore.session import get_session
        except ModuleNotFoundError as error:
            raise UsageError("s3:// needs a package that is not installed: pip install 'stemwright[s3]'.") from error
        logging.getLogger("botocore").setLevel(logging.WARNING)  # it tells each time where it found the keys
        self._session = get_session()
        region = place.region or self._session.get_config_variable("region") or DEFAULT_REGION
        self.place = replace(place, region=region)
        self.public_endpoint = public_url or place.endpoint
        keys = self._session.get_credentials()
        if keys is None:
            raise UsageError(
                f"There are no keys for {place}: set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, "
                "or give the machine a role."
            )
        self._keys = keys
        self._signer: Any = None
        self._lock = threading.Lock()

    def credentials(self) -> S3Credential:
        """The keys that are valid now, for obstore."""
        frozen = self._keys.get_frozen_credentials()
        return {
            "access_key_id": frozen.access_key,
            "secret_access_key": frozen.secret_key,
            "token": frozen.token,
            "expires_at": datetime.now(UTC) + KEYS_LAST,
        }

    def signed_url(self, key: str, link: FileLink) -> str:
        """A link to a file, at the address that clients reach the store under."""
        parameters = {
            "Bucket": self.place.bucket,
            "Key": self.full_key(key),
            "ResponseContentType": link.media_type,
            "ResponseContentDisposition": link.disposition,
            "ResponseCacheControl": link.cache_control,
        }
        operation = "head_object" if link.method == "HEAD" else "get_object"
        with self._lock:
            if self._signer is None:
                self._signer = self._new_client(self.public_endpoint)
        url: str = self._signer.generate_presigned_url(operation, Params=parameters, ExpiresIn=link.seconds)
        return url

    def unfinished_uploads(self) -> Iterator[UnfinishedUpload]:
        """All multipart uploads under the prefix that were not ended."""
        with explained(self.place, "list"), self.client() as client:
            pages = client.get_paginator("list_multipart_uploads")
            for page in pages.paginate(Bucket=self.place.bucket, Prefix=self.full_key("")):
                for found in page.get("Uploads", []):
                    yield UnfinishedUpload(found["Key"], found["UploadId"], found["Initiated"])

    def abort(self, upload: UnfinishedUpload) -> None:
        """Deletes the parts of an upload."""
        with explained(self.place, "delete"), self.client() as client:
            client.abort_multipart_upload(Bucket=self.place.bucket, Key=upload.key, UploadId=upload.id)

    @contextmanager
    def client(self) -> Iterator[Any]:
        """A client of botocore, whose methods are Amazon's operations; use it with ``explained``."""
        client = self._new_client(self.place.endpoint)
        try:
            yield client
        finally:
            client.close()

    def _new_client(self, endpoint: str | None) -> Any:
        """A client for an endpoint. Typed loosely: botocore makes its methods when it runs."""
        from botocore.config import Config

        style = "virtual" if self.place.bucket_in_host else "path" if endpoint else "auto"
        return self._session.create_client(
            "s3",
            region_name=self.place.region,
            endpoint_url=endpoint,
            config=Config(
                signature_version="s3v4",
                s3={"addressing_style": style},
                connect_timeout=5,
                read_timeout=20,
                retries={"max_attempts": 2},
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
            ),
        )

    def full_key(self, key: str) -> str:
        """The name of an object in the bucket: with the prefix."""
        return f"{self.place.prefix}/{key}" if self.place.prefix else key


@contextmanager
def explained(place: BucketUrl, verb: str) -> Iterator[None]:
    """Raises what botocore raises as StorageErrors."""
    from botocore.exceptions import BotoCoreError, ClientError, HTTPClientError

    try:
        yield
    except HTTPClientError as error:
        raise StoreUnreachable(f"{place} cannot be reached ({error}): check that it runs.") from error
    except (BotoCoreError, ClientError) as error:
        raise StorageError(
            f"{place} did not let the keys {verb} ({error}): allow them to, or do it yourself."
        ) from error
