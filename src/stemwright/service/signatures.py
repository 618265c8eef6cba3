"""Signatures of callbacks: the vendor's (task and time) and Standard Webhooks (body)."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from standardwebhooks import Webhook

_STANDARD_PREFIX = "whsec_"


def vendor_signature(key: str, task_id: str, timestamp: int) -> str:
    """Returns the Base64 HMAC-SHA256 of ``<task_id>.<timestamp>``.

    Args:
        key: the webhook key, as text.
        task_id: as in the callback body.
        timestamp: seconds since 1970.
    """
    digest = hmac.new(key.encode(), f"{task_id}.{timestamp}".encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode("ascii")


def standard_signature(key: str, message_id: str, timestamp: int, body: str) -> str:
    """Returns the ``webhook-signature`` of Standard Webhooks: ``v1,`` and Base64.

    Args:
        key: ``whsec_`` and Base64; any other key is used as raw bytes.
        message_id: the same in every attempt for a message.
        timestamp: seconds since 1970.
        body: the request body.
    """
    secret = key if key.startswith(_STANDARD_PREFIX) else key.encode()
    return Webhook(secret).sign(message_id, datetime.fromtimestamp(timestamp, UTC), body)


def signed_headers(key: str, task_id: str, message_id: str, timestamp: int, body: str) -> dict[str, str]:
    """Returns both signatures as headers of a callback."""
    return {
        "X-Webhook-Timestamp": str(timestamp),
        "X-Webhook-Signature": vendor_signature(key, task_id, timestamp),
        "webhook-id": message_id,
        "webhook-timestamp": str(timestamp),
        "webhook-signature": standard_signature(key, message_id, timestamp, body),
    }


def signed_task_id(body: Mapping[str, Any], default: str) -> str:
    """Returns the task id in a callback body, which receivers verify the signature with."""
    data = body.get("data")
    inner = data if isinstance(data, Mapping) else {}
    places = (inner.get("taskId"), inner.get("task_id"), body.get("taskId"), body.get("task_id"))
    return next((found for found in places if isinstance(found, str) and found), default)
