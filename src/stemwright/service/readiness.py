"""Whether this process can work: its database and its store. API servers and workers ask the same."""

from __future__ import annotations

import sqlalchemy
import structlog

from stemwright.errors import StorageError
from stemwright.service.service import Service

OK = "ok"

NO_DATABASE = (
    "does not answer: check that its disk has free space and that the server may write there, or that PostgreSQL runs; "
    "the log says what is wrong. If the file is damaged, restore a backup."
)
OLD_TABLES = "has the tables of an older release: start a server of this release on it once, which migrates them."
NEW_TABLES = "has the tables of a newer release, which this one cannot work with: install that release here too."
NO_STORAGE = (
    "cannot be written: free some space, or let the server write to its data folder or bucket; "
    "the log says what is wrong."
)

log = structlog.stdlib.get_logger(__name__)


def check_database(service: Service) -> str:
    """``ok``, or what is wrong with the database, and the remedy."""
    try:
        state = service.database.schema_state()
        if state != "usable":
            return NEW_TABLES if state == "too new" else OLD_TABLES
        with service.database.read() as session:
            session.execute(sqlalchemy.text("SELECT 1 FROM facts LIMIT 1"))
    except (sqlalchemy.exc.SQLAlchemyError, StorageError) as error:
        log.error("the database does not answer", exc_info=error)
        return NO_DATABASE
    return OK


def check_storage(service: Service) -> str:
    """``ok``, or what is wrong with the store. Writes a small file and deletes it."""
    try:
        service.store.check()
    except StorageError as error:
        log.error("the store cannot be used", problem=str(error))
        return NO_STORAGE
    return OK
