"""Callbacks: HTTP requests to clients when a task ends. Delivered at least once, even after a crash.

A delivery row is added in the transaction that ends the task. It stays ``pending`` until its outcome is written, so
an interrupted attempt is repeated.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, fields
from typing import Any, Literal

import structlog
from sqlalchemy import and_, or_, select, update

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.database.retry import retry_conflicts
from stemwright.database.statements import changed_rows
from stemwright.errors import StorageError
from stemwright.service.clock import Clock
from stemwright.service.due_callbacks import MAX_TIMEOUT_DOUBLINGS, DueCallbacks
from stemwright.service.errors import Conflict, NotFound, SourceUnavailable, UrlRefused
from stemwright.service.ids import dashed, new_id
from stemwright.service.signatures import signed_headers, signed_task_id
from stemwright.service.task import Face, Task
from stemwright.service.tasks import Tasks
from stemwright.service.url_fetcher import Fetcher
from stemwright.settings import Settings
from stemwright.tracing import Attributes, span

MAX_CONCURRENT = 64
POLL_S = 0.25
DEBOUNCE_S = 0.02
ERROR_PAUSE_S = 30.0

Bodies = Mapping[Face, Callable[[Task], dict[str, Any]]]
"""Callback body for each face."""

DeliveryState = Literal["pending", "delivered", "failed", "blocked", "dead"]

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class Delivery:
    """One attempt to deliver a callback.

    Attributes:
        state: ``failed``: another attempt follows; ``dead``: the last attempt failed; ``blocked``: the URL is not
            allowed on this server.
        due_at, attempted_at: seconds since 1970.
        status_code: HTTP status of the response, None without one; error: the reason then.
    """

    id: str
    task_id: str
    attempt: int
    state: DeliveryState
    due_at: float
    attempted_at: float | None
    status_code: int | None
    error: str | None


class Callbacks:
    """Delivers due callbacks in threads, so that a slow receiver does not delay others. Thread-safe."""

    def __init__(
        self, database: Database, settings: Settings, fetcher: Fetcher, tasks: Tasks, clock: Clock = time.time
    ) -> None:
        self._database = database
        self._settings = settings
        self._fetcher = fetcher
        self._tasks = tasks
        self._clock = clock
        self._due_callbacks = DueCallbacks(database, settings, clock)
        self._in_flight: set[str] = set()
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self.slot_freed = threading.Event()
        """Set when an attempt ends, so that the next one can start."""
        self._pool = ThreadPoolExecutor(MAX_CONCURRENT, thread_name_prefix="callback")

    def run_due(self, bodies: Bodies) -> int:
        """Makes the due attempts, waits for them and returns their number."""
        started = self.start_due(bodies)
        wait(started)
        return len(started)

    def start_due(self, bodies: Bodies) -> list[Future[None]]:
        """Starts the due attempts that are not running yet, without waiting for them."""
        due = self._due_callbacks.take()
        with self._lock:
            new = [delivery_id for delivery_id in due if delivery_id not in self._in_flight]
            self._in_flight.update(new)
        return [self._pool.submit(self._attempt, delivery_id, bodies) for delivery_id in new]

    def log(self, account_id: str, task_id: str) -> list[Delivery]:
        """Returns all attempts for a task, in order.

        Raises:
            NotFound: the account has no such task.
        """
        self._task(account_id, task_id)
        with self._database.read() as session:
            query = select(tables.Delivery).where(tables.Delivery.task_id == task_id)
            return [_delivery_from_row(row) for row in session.scalars(query.order_by(tables.Delivery.attempt))]

    def recent(self, account_id: str, *, after: str | None = None, limit: int = 20) -> list[tuple[Delivery, str]]:
        """Returns attempts of all tasks of an account with their URLs, newest first, from after the attempt ``after``.

        Raises:
            NotFound: there is no attempt ``after`` any more.
        """
        row = tables.Delivery
        query = select(row, tables.Task.callback_url).join(tables.Task, tables.Task.id == row.task_id)
        query = query.where(row.account_id == account_id)
        with self._database.read() as session:
            if after:
                last = session.scalar(select(row).where(row.id == after, row.account_id == account_id))
                if last is None:
                    raise NotFound(
                        "The attempt after which the page starts no longer exists; start from the first page."
                    )
                query = query.where(or_(row.due_at < last.due_at, and_(row.due_at == last.due_at, row.id < after)))
            rows = session.execute(query.order_by(row.due_at.desc(), row.id.desc()).limit(limit))
            return [(_delivery_from_row(delivery), url or "") for delivery, url in rows]

    @retry_conflicts
    def replay(self, account_id: str, task_id: str) -> Delivery:
        """Sends a task's callback again, now. A scheduled attempt is brought forward.

        Raises:
            NotFound: the account has no such task.
            Conflict: the task has not ended, or has no callback URL.
        """
        task = self._task(account_id, task_id)
        if not task.callback_url:
            raise Conflict("The task has no callback URL: set one when you create a task.")
        if not task.has_ended:
            raise Conflict("The task has not ended: its callback is sent when it does.")
        with self._database.write() as session:
            # Locked: retention keeps the task, and a second replay waits.
            if session.get(tables.Task, task_id, with_for_update=True) is None:
                raise NotFound("There is no task with this id.")
            query = select(tables.Delivery).where(tables.Delivery.task_id == task_id)
            last = session.scalars(query.order_by(tables.Delivery.attempt.desc()).limit(1)).first()
            if last is not None and last.state == "pending":
                last.due_at = self._clock()
                return _delivery_from_row(last)
            row = self._next_attempt(task_id, account_id, last.attempt if last is not None else 0, wait_s=0.0)
            session.add(row)
            return _delivery_from_row(row)

    def close(self) -> None:
        """Waits for running attempts; attempts not started stay due."""
        self._closing.set()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._due_callbacks.give_back(self._in_flight)  # taken, and not started

    def _task(self, account_id: str, task_id: str) -> Task:
        task = self._tasks.get(account_id, task_id)
        if task is None:
            raise NotFound("There is no task with this id.")
        return task

    def _attempt(self, delivery_id: str, bodies: Bodies) -> None:
        try:
            with self._database.read() as session:
                row = session.get(tables.Delivery, delivery_id)
                delivery = _delivery_from_row(row) if row is not None else None
            task = self._tasks.any(delivery.task_id) if delivery is not None else None
            if delivery is None or task is None or delivery.state != "pending":
                return
            facts: Attributes = {"stemwright.task": task.id, "stemwright.attempt": delivery.attempt}
            with (
                structlog.contextvars.bound_contextvars(task=task.id),
                span("callback", facts, parent=task.trace_context, kind="client"),
            ):
                self._record_outcome(delivery, task, *self._send(task, bodies, delivery.attempt))
        except Exception:  # e.g. disk full: the delivery stays due, but is not resent in a tight loop
            _log.exception("the outcome of a callback could not be written", delivery=delivery_id)
            self._closing.wait(ERROR_PAUSE_S)
        finally:
            with self._lock:
                self._in_flight.discard(delivery_id)
            self.slot_freed.set()

    def _send(self, task: Task, bodies: Bodies, attempt: int) -> tuple[DeliveryState, int | None, str | None]:
        try:
            content = bodies[task.face](task)
        except Exception as error:  # an error in one body must not stop other deliveries
            _log.exception("a callback could not be written")
            return "failed", None, f"The callback could not be written: {type(error).__name__}."
        body = json.dumps(content, separators=(",", ":"))
        headers = {"Content-Type": "application/json"}
        if self._settings.webhook_key is not None:
            key = self._settings.webhook_key.get_secret_value()
            named = signed_task_id(content, dashed(task.id))
            # The message id is the same in every attempt, so that a receiver can detect duplicates.
            headers |= signed_headers(key, named, f"msg_{task.id}", int(self._clock()), body)
        try:
            # Doubled with each attempt: a slow receiver or server still gets the callback, only later.
            timeout_s = self._settings.callback_timeout_s * 2 ** min(attempt - 1, MAX_TIMEOUT_DOUBLINGS)
            status = self._fetcher.post(task.callback_url or "", body.encode(), headers, timeout_s)
        except UrlRefused as error:
            return "blocked", None, str(error)
        except SourceUnavailable as error:
            return "failed", None, str(error)
        return ("delivered" if 200 <= status < 300 else "failed"), status, None

    @retry_conflicts
    def _record_outcome(
        self, delivery: Delivery, task: Task, state: DeliveryState, status_code: int | None, error: str | None
    ) -> None:
        waits = self._settings.callback_retry_s
        again = state == "failed" and delivery.attempt <= len(waits)
        if state == "failed" and not again:
            state = "dead"
        with self._database.write() as session:
            changed = session.execute(
                update(tables.Delivery)
                .where(tables.Delivery.id == delivery.id, tables.Delivery.state == "pending")
                .values(state=state, attempted_at=self._clock(), status_code=status_code, error=error)
            )
            if again and changed_rows(changed):
                session.add(self._next_attempt(task.id, task.account_id, delivery.attempt, waits[delivery.attempt - 1]))
        _log.info("callback", attempt=delivery.attempt, state=state, status=status_code, error=error)

    def _next_attempt(self, task_id: str, account_id: str, attempt: int, wait_s: float) -> tables.Delivery:
        return tables.Delivery(
            id=new_id(),
            account_id=account_id,
            task_id=task_id,
            attempt=attempt + 1,
            state="pending",
            due_at=self._clock() + wait_s,
        )


class CallbackLoop:
    """Thread that delivers callbacks as they fall due, from ``start`` to ``stop``."""

    def __init__(self, callbacks: Callbacks, bodies: Bodies) -> None:
        self._callbacks = callbacks
        self._bodies = bodies
        self._stopping = False
        self._is_interrupted = False
        self._thread = threading.Thread(target=self._run, name="callbacks", daemon=True)

    def start(self) -> None:
        """Starts delivery, including callbacks left from the previous run."""
        self._thread.start()

    def wake(self) -> None:
        """Checks for due callbacks now. Otherwise polls every quarter second, as tasks end in other processes."""
        self._callbacks.slot_freed.set()

    def stop(self) -> None:
        """Starts no new attempts and waits for running ones."""
        self._stopping = True
        self.wake()
        self._thread.join()
        self._callbacks.close()

    def _run(self) -> None:
        while not self._stopping:
            self._start_due()
            if self._callbacks.slot_freed.wait(POLL_S):
                self._callbacks.slot_freed.clear()
                time.sleep(DEBOUNCE_S)  # one query for callbacks that end together, not one each

    def _start_due(self) -> None:
        try:
            self._callbacks.start_due(self._bodies)
        except StorageError as error:
            if not self._is_interrupted:  # once, for the next try is in a moment
                _log.warning("callbacks wait until the database answers", reason=str(error))
            self._is_interrupted = True
        except Exception:  # the loop must go on
            _log.exception("callbacks that are due could not be read")
        else:
            self._is_interrupted = False


def _delivery_from_row(row: tables.Delivery) -> Delivery:
    return Delivery(**{field.name: getattr(row, field.name) for field in fields(Delivery)})
