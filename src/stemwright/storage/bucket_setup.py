"""Sets up a bucket of S3: for the pages of browsers, and against what broken uploads leave."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from stemwright.errors import UsageError
from stemwright.storage.bucket_url import parse_bucket_url
from stemwright.storage.s3 import DEFAULT_REGION, S3Bucket, explained

RULE = "stemwright-unfinished-uploads"
ABANDONED_DAYS = 1

CORS_RULE = {
    "AllowedOrigins": ["*"],  # a browser that was redirected says that its origin is null
    "AllowedMethods": ["GET", "HEAD"],
    "AllowedHeaders": ["*"],
    "ExposeHeaders": ["Accept-Ranges", "Content-Disposition", "Content-Length", "Content-Range", "ETag"],
    "MaxAgeSeconds": 3600,
}


def set_up(url: str) -> list[str]:
    """Creates the bucket if it is missing, lets pages of all origins read signed links, and has the store delete uploads
    that were not ended. Rules that others made stay.

    Returns:
        What was done, in words; nothing if all was there.

    Raises:
        UsageError: it is no URL of S3, or there are no keys.
        StorageError: the keys may not do it, or the store does not answer.
    """
    place = parse_bucket_url(url)
    if place.scheme != "s3":
        raise UsageError(
            f"Only S3 can be set up from here: create {place} with the tools of its cloud, and a rule that deletes "
            "unfinished uploads."
        )
    s3, done = S3Bucket(place), []
    bucket, prefix = s3.place.bucket, s3.full_key("")
    with explained(s3.place, "set it up"), s3.client() as client:
        if not _found(lambda: client.head_bucket(Bucket=bucket)):
            inside = {"CreateBucketConfiguration": {"LocationConstraint": s3.place.region}}
            elsewhere = s3.place.endpoint is None and s3.place.region != DEFAULT_REGION
            client.create_bucket(Bucket=bucket, **(inside if elsewhere else {}))
            done.append(f"created the bucket {bucket}")
        rules = _found(lambda: client.get_bucket_cors(Bucket=bucket)["CORSRules"]) or []
        if CORS_RULE not in rules:
            client.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [*rules, CORS_RULE]})
            done.append("pages of all origins may read files by signed links (CORS)")
        rules = _found(lambda: client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"]) or []
        rule = {
            "ID": f"{RULE}-{prefix.replace('/', '-')}".strip("-"),
            "Status": "Enabled",
            "Filter": {"Prefix": prefix},
            "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": ABANDONED_DAYS},
        }
        if all(other.get("ID") != rule["ID"] for other in rules):
            client.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [*rules, rule]})
            done.append("unfinished uploads are deleted after a day (lifecycle rule)")
    return done


def _found(ask: Callable[[], Any]) -> Any:
    """What was asked for; None if there is none."""
    from botocore.exceptions import ClientError

    try:
        return ask()
    except ClientError as error:
        if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
            return None
        raise
