"""Listens to Procrastinate's notifications: a job was added, or one that runs shall be aborted."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection

import psycopg
import sqlalchemy
import structlog
from psycopg import sql

from stemwright.database.engine import Database

RECONNECT_S = 1.0
CHECK_S = 1.0
"""How often the thread looks whether it shall stop."""

ABORTED = "SELECT lock FROM procrastinate_jobs WHERE status = 'doing' AND abort_requested AND queue_name = ANY(%s)"

logger = structlog.stdlib.get_logger(__name__)


class ProcrastinateListener:
    """A connection of its own that waits for notifications.

    Args:
        database: PostgreSQL.
        queues: names of the queues to listen to.
        on_waiting: called when a job was added, or may have been.
        on_cancel: called with the id of a task whose job shall be aborted, by whichever worker holds it; perhaps twice.
    """

    def __init__(
        self,
        database: Database,
        queues: Collection[str],
        on_waiting: Callable[[], None],
        on_cancel: Callable[[str], None],
    ) -> None:
        self._database = database
        self._queues = list(queues)
        self._on_waiting = on_waiting
        self._on_cancel = on_cancel
        self._stopped = threading.Event()

    def run(self) -> None:
        """Listens until ``stop``. After a lost connection it looks for what it has missed."""
        while not self._stopped.is_set():
            try:
                self._listen()
            except (psycopg.Error, sqlalchemy.exc.SQLAlchemyError, OSError) as error:
                logger.warning("the queue's notifications are interrupted; asking meanwhile", reason=str(error))
            except Exception:
                logger.exception("the queue's notifications are interrupted; asking meanwhile")
            self._stopped.wait(RECONNECT_S)

    def stop(self) -> None:
        """Ends ``run`` within a second."""
        self._stopped.set()

    def _listen(self) -> None:
        with self._connection() as connection:
            for queue in self._queues:
                channel = sql.Identifier(f"procrastinate_queue_v1#{queue}")
                connection.execute(sql.SQL("LISTEN {}").format(channel))
            self._look(connection)
            while not self._stopped.is_set():
                notifications = connection.notifies(timeout=CHECK_S, stop_after=1)
                told = {json.loads(notification.payload)["type"] for notification in notifications}
                if "abort_job_requested" in told:
                    self._look(connection)
                elif told:
                    self._on_waiting()

    def _connection(self) -> psycopg.Connection:
        """A connection that the pool does not get back."""
        raw = self._database.engine.raw_connection()
        connection = raw.driver_connection
        assert isinstance(connection, psycopg.Connection)
        raw.detach()
        connection.rollback()  # SQLAlchemy has asked the server for its version
        connection.autocommit = True
        return connection

    def _look(self, connection: psycopg.Connection) -> None:
        self._on_waiting()
        for (task_id,) in connection.execute(ABORTED, [self._queues]).fetchall():
            self._on_cancel(task_id)
