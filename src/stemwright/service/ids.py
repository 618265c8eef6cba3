"""Ids: UUIDs, stored as 32 hex digits; some faces write them with dashes."""

from __future__ import annotations

import re
import uuid

_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


def new_id() -> str:
    """Returns a new id, 32 hex digits."""
    return uuid.uuid4().hex


def parse_id(text: object) -> str | None:
    """Returns the 32 hex digits of an id with or without dashes; None for anything else."""
    if not isinstance(text, str):
        return None
    lowered = text.strip().lower()
    return lowered.replace("-", "") if _ID.fullmatch(lowered) else None


def dashed(hex_id: str) -> str:
    """Returns the id with dashes, 8-4-4-4-12."""
    return str(uuid.UUID(hex_id))
