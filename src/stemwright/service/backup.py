"""Backup of a running server's data."""

from __future__ import annotations

import shutil
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from sqlalchemy import select

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.errors import StorageError, UsageError, storage_error
from stemwright.settings import SETTINGS_FILE, Settings
from stemwright.storage.store import Store


@dataclass(frozen=True)
class Backup:
    """Size of a backup."""

    files: int
    size_bytes: int


def back_up(settings: Settings, database: Database, folder: Path) -> Backup:
    """Copies the database, files and settings into ``folder``, which appears only when the copy is complete.

    The database is copied first, as one snapshot; then every file it refers to. Stored files never change. A file that
    expires in between is skipped.

    Raises:
        UsageError: the folder exists, or the database is not SQLite (use its own backup tools).
        StorageError: writing the copy failed.
    """
    if folder.exists():
        raise UsageError(f"{folder} already exists; choose a new folder.")
    if database.engine.dialect.name != "sqlite":
        raise UsageError("Only SQLite databases are copied; use the tool of the database server, such as pg_dump.")
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    shutil.rmtree(unfinished, ignore_errors=True)
    try:
        unfinished.mkdir(parents=True)
        saved = _copy(settings, database, unfinished)
        unfinished.rename(folder)
    except OSError as error:
        raise storage_error(error, folder) from error
    except sqlite3.Error as error:
        raise StorageError(f"The database could not be copied to {folder} ({error}); free some space.") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return saved


def _copy(settings: Settings, database: Database, folder: Path) -> Backup:
    with database.engine.connect() as connection:
        target = sqlite3.connect(folder / "stemwright.db")
        try:
            cast(sqlite3.Connection, connection.connection.dbapi_connection).backup(target)
        finally:
            target.close()
    store, copied = Store.open(settings), Store.open(settings.model_copy(update={"data": folder, "storage_url": None}))
    copy = Database.in_folder(folder)
    with copy.read() as session:
        blobs = session.execute(select(tables.Blob.digest, tables.Blob.size_bytes)).all()
    copy.close()
    files = size = 0
    for digest, size_bytes in blobs:
        if not store.exists(digest):
            continue
        with copied.writer() as writer:
            for piece in store.read(digest):
                writer.write(piece)
            writer.commit()
        files, size = files + 1, size + size_bytes
    if (settings.data / SETTINGS_FILE).exists():
        shutil.copy2(settings.data / SETTINGS_FILE, folder / SETTINGS_FILE)
    return Backup(files, size)
