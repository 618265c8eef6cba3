"""Backup and restore of database and files together, where the files are in an object store."""

from __future__ import annotations

from pathlib import Path

import pytest

from stemwright.database.engine import Database
from stemwright.errors import UsageError
from stemwright.service.backup import back_up
from stemwright.service.blobs import GRACE_PERIOD_S, BlobRecords
from stemwright.service.retention import Retention
from stemwright.service.tracks import Tracks
from stemwright.storage.store import Store, StoredBlob
from tests.service.conftest import OpenDomain


def put(store: Store, content: bytes) -> StoredBlob:
    with store.writer() as writer:
        writer.write(content)
        return writer.commit()


def test_a_backup_of_both_and_what_an_older_database_makes_of_a_newer_store(
    open_domain: OpenDomain, bucket: str, tmp_path: Path
) -> None:
    domain = open_domain(storage_url=bucket)
    store = Store.open(domain.settings, BlobRecords(domain.database, domain.clock).record)
    account = domain.caller().account_id
    kept = domain.tracks.add_stored(account, put(store, b"kept"), title="kept")
    if not domain.database.is_sqlite:
        with pytest.raises(UsageError, match="pg_dump"):
            back_up(domain.settings, domain.database, tmp_path / "copy")
        return
    saved = back_up(domain.settings, domain.database, tmp_path / "copy")
    assert (saved.files, saved.size_bytes) == (1, 4)

    # Into a folder: nothing of the store is needed.
    alone = domain.settings.model_copy(update={"data": tmp_path / "copy", "storage_url": None})
    database = Database.in_folder(alone.data)
    found = Tracks(database, alone, domain.clock).get(account, kept.id)
    assert found is not None and found.blob is not None
    assert b"".join(Store.open(alone).read(found.blob)) == b"kept"

    # The older database on the store that went on: what it does not know goes after an hour, what it knows stays.
    later = put(store, b"stored after the backup")
    settings = alone.model_copy(update={"storage_url": bucket})
    restored = Store.open(settings, BlobRecords(database, domain.clock).record)
    retention = Retention(database, settings, restored, domain.clock, domain.clock)
    retention.sweep()
    assert restored.exists(later.digest)
    domain.clock.now += GRACE_PERIOD_S + 1
    retention.sweep()
    assert not restored.exists(later.digest) and restored.exists(found.blob)
    database.close()
