"""How large a file may be that an account sends: the server's limit, or what is left of the account's quota."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.concurrency import run_in_threadpool

from stemwright.service.errors import TooLarge
from stemwright.service.service import Service


@asynccontextmanager
async def upload_limit(service: Service, account_id: str) -> AsyncIterator[int]:
    """The most bytes of a file, while it is read.

    Raises:
        QuotaExceeded: the account has no room, or the file has more bytes than that.
    """
    most_bytes = service.settings.max_upload_mb * 1_000_000
    room_bytes = await run_in_threadpool(service.storage_quota.room, account_id)
    if room_bytes is None or room_bytes >= most_bytes:
        yield most_bytes
        return
    try:
        yield room_bytes
    except TooLarge:
        await run_in_threadpool(service.storage_quota.room, account_id, most_bytes)
        raise
