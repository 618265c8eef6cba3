"""The size limit of an upload: the server's limit, or what is left of the account's quota if that is less."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.concurrency import run_in_threadpool

from stemwright.service.errors import TooLarge
from stemwright.service.service import Service


@asynccontextmanager
async def upload_limit(service: Service, account_id: str) -> AsyncIterator[int]:
    """The largest accepted file in bytes; for the time that the file is read.

    Raises:
        QuotaExceeded: the account's quota is used up, or the file does not fit into the rest of it.
    """
    server_limit_bytes = service.settings.max_upload_mb * 1_000_000
    quota_left_bytes = await run_in_threadpool(service.storage_quota.room, account_id)
    if quota_left_bytes is None or quota_left_bytes >= server_limit_bytes:
        yield server_limit_bytes
        return
    try:
        yield quota_left_bytes
    except TooLarge:
        await run_in_threadpool(service.storage_quota.room, account_id, server_limit_bytes)
        raise
