"""Tasks: one separation each, or one WAV. Money and state change together, and every change of state is guarded in SQL."""

from __future__ import annotations

import time
from collections.abc import Collection

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.jobs.queue import Queue
from stemwright.service.blobs import release
from stemwright.service.clock import Clock
from stemwright.service.errors import (
    Conflict,
    InvalidRequest,
    NotFound,
    SwitchedOff,
    TooManyRunning,
    UnderMaintenance,
)
from stemwright.service.ids import new_id
from stemwright.service.keys import Caller
from stemwright.service.ledger import Ledger
from stemwright.service.rate_limits import RateLimits
from stemwright.service.storage_quota import check_quota
from stemwright.service.task import UNDER_WAY, WAV, State, Submission, Task, as_task, load_task, mark_of
from stemwright.service.task_completion import TaskCompletion
from stemwright.service.tracks import DAY_S, Tracks
from stemwright.settings import Settings
from stemwright.stems import select as select_stems

WAV_EXISTS = "WAV record already exists"
"""The vendor's own words (docs/contracts.md, section 5)."""

IN_A_QUERY = 500
"""Ids that one query names; SQLite takes 32,766."""

MAINTENANCE = "maintenance"
"""The fact that says so, as `on`."""


class Tasks:
    """All tasks; every question of a client's names the account that asks."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        queue: Queue,
        ledger: Ledger,
        tracks: Tracks,
        limits: RateLimits,
        ending: TaskCompletion,
        clock: Clock = time.time,
    ) -> None:
        self._database = database
        self._settings = settings
        self._queue = queue
        self._ledger = ledger
        self._tracks = tracks
        self._limits = limits
        self._ending = ending
        self._clock = clock

    def submit(self, caller: Caller, order: Submission) -> Task:
        """Takes an order: charges it, notes it and queues it, in one transaction.

        Raises:
            SwitchedOff, UnderMaintenance, RateLimited, TooManyRunning, QuotaExceeded, InsufficientCredits: it is refused,
                and nothing is charged.
            InvalidRequest: the stems make no sense.
            Conflict: the idempotency key was used with another body, or the account has a WAV of this audio.
            NotFound: the account has no such track.
        """
        if order.kind in self._settings.disabled:
            raise SwitchedOff(f"{order.kind} is switched off on this server.")
        mode = WAV if order.kind == WAV else select_stems(order.stems).mode
        if order.idempotency_key and (before := self._repeated(caller.account_id, order)) is not None:
            return before
        rate = self._settings.native_rate_limit if order.face == "native" else self._settings.rate_limit
        self._limits.take(caller, order.face, rate)
        now = self._clock()
        with self._database.write() as session:
            if (fact := session.get(tables.Fact, MAINTENANCE)) is not None and fact.value == "on":
                raise UnderMaintenance("The service is under maintenance. Please try again later.")
            if order.idempotency_key and (before := self._repeated(caller.account_id, order, session)) is not None:
                return before
            cache_key = _wav_cache_key(order)
            if cache_key is not None and self._has_result(session, caller.account_id, cache_key):
                raise Conflict(WAV_EXISTS)
            self._check_running(session, caller)
            check_quota(session, self._settings, caller.account_id, more_bytes=1)  # its stems need room
            task = tables.Task(
                id=new_id(),
                account_id=caller.account_id,
                face=order.face,
                kind=order.kind,
                state="pending",
                stems=mode,
                plan=order.plan,
                format=order.format,
                bit_depth=order.bit_depth,
                bitrate_kbps=order.bitrate_kbps,
                stem_name=order.stem_name,
                track_id=self._track_id(session, caller.account_id, order),
                source_url=order.source_url,
                callback_url=order.callback_url,
                request=order.request or {},
                price=self._settings.price(order.kind),
                cache_key=cache_key,
                progress=0.0,
                cancel_requested=False,
                facts={},
                created_at=now,
                expires_at=now + self._settings.retention_days * DAY_S,
            )
            session.add(task)
            session.flush()
            self._ledger.charge(session, caller.account_id, task.id, task.price)
            self._queue.enqueue(session, task.id, caller.account_id, order.priority)
            if order.idempotency_key:
                session.add(
                    tables.IdempotencyKey(
                        account_id=caller.account_id,
                        key=order.idempotency_key,
                        body_digest=order.body_digest,
                        task_id=task.id,
                        created_at=now,
                    )
                )
            return as_task(session, task)

    def get(self, account_id: str, task_id: str) -> Task | None:
        """A task by its id."""
        with self._database.read() as session:
            row = _own(session, account_id, task_id)
            return as_task(session, row) if row is not None else None

    def any(self, task_id: str) -> Task | None:
        """A task of whichever account: for workers and callbacks."""
        with self._database.read() as session:
            return load_task(session, task_id)

    def marks(self, task_ids: Collection[str]) -> dict[str, str]:
        """The marks of tasks of whichever accounts (``Task.mark``); of those that are there."""
        ids, found = list(task_ids), dict[str, str]()
        row = tables.Task
        with self._database.read() as session:
            for start in range(0, len(ids), IN_A_QUERY):
                query = select(row.id, row.state, row.stage, row.progress, row.cancel_requested)
                for task_id, state, stage, progress, cancel_requested in session.execute(
                    query.where(row.id.in_(ids[start : start + IN_A_QUERY]))
                ):
                    found[task_id] = mark_of(state, stage, progress, cancel_requested)
        return found

    def of_stem(self, account_id: str, stem_id: str) -> Task | None:
        """The task that a stem belongs to."""
        with self._database.read() as session:
            query = select(tables.Task).join(tables.Stem, tables.Stem.task_id == tables.Task.id)
            row = session.scalar(query.where(tables.Stem.id == stem_id, tables.Task.account_id == account_id))
            return as_task(session, row) if row is not None else None

    def list(
        self, account_id: str, *, after: str | None = None, limit: int = 20, state: State | None = None
    ) -> list[Task]:
        """The newest tasks first, ``limit`` of them, from behind the task ``after`` on."""
        with self._database.read() as session:
            query = select(tables.Task).where(tables.Task.account_id == account_id)
            if state:
                query = query.where(tables.Task.state == state)
            if after:
                mark = _own(session, account_id, after)
                if mark is None:
                    raise NotFound("The page begins after a task that is not there any more; begin again without it.")
                query = query.where(
                    (tables.Task.created_at < mark.created_at)
                    | ((tables.Task.created_at == mark.created_at) & (tables.Task.id < mark.id))
                )
            query = query.order_by(tables.Task.created_at.desc(), tables.Task.id.desc()).limit(limit)
            return [as_task(session, row) for row in session.scalars(query)]

    def cancel(self, account_id: str, task_id: str) -> Task:
        """Cancels a task: a waiting one at once, a running one at its next chunk. An ended one stays as it is.

        Raises:
            NotFound: the account has no such task.
        """
        with self._database.write() as session:
            row = _own(session, account_id, task_id)
            if row is None:
                raise NotFound("There is no task of that id.")
            job = session.get(tables.Job, task_id)
            if row.state in UNDER_WAY and (job is None or job.leased_by is None):  # nobody has it in hand
                self._ending.end(session, row, "cancelled")
            elif row.state == "running":
                row.cancel_requested = True
            return as_task(session, row)

    def delete(self, account_id: str, task_id: str) -> None:
        """Forgets an ended task and its stems.

        Raises:
            NotFound: the account has no such task.
            Conflict: it is under way.
        """
        with self._database.write() as session:
            row = _own(session, account_id, task_id)
            if row is None:
                raise NotFound("There is no task of that id.")
            if row.state in UNDER_WAY:
                raise Conflict("The task is under way: cancel it first.")
            session.execute(delete(tables.IdempotencyKey).where(tables.IdempotencyKey.task_id == task_id))
            stems = session.scalars(select(tables.Stem.blob).where(tables.Stem.task_id == task_id)).all()
            session.delete(row)
            release(session, stems, self._clock())

    def counts(self) -> dict[str, int]:
        """How many tasks there are in each state."""
        with self._database.read() as session:
            rows = session.execute(select(tables.Task.state, func.count()).group_by(tables.Task.state)).all()
            return {state: count for state, count in rows}  # noqa: C416  # rows are Row, not tuples, to mypy

    @staticmethod
    def _has_result(session: Session, account_id: str, cache_key: str) -> bool:
        """Whether the account has a task of that cache_key that has succeeded, or may still succeed."""
        query = select(tables.Task.id).where(
            tables.Task.cache_key == cache_key,
            tables.Task.account_id == account_id,
            tables.Task.state.in_((*UNDER_WAY, "succeeded")),
        )
        return session.scalar(query.limit(1)) is not None

    def _check_running(self, session: Session, caller: Caller) -> None:
        allowed = self._settings.max_running if caller.max_running is None else caller.max_running
        if not allowed:
            return
        under_way = session.scalar(
            select(func.count()).where(tables.Task.account_id == caller.account_id, tables.Task.state.in_(UNDER_WAY))
        )
        if (under_way or 0) >= allowed:
            raise TooManyRunning(
                f"As many tasks are under way as this key may have ({allowed}). Please try again later."
            )

    def _track_id(self, session: Session, account_id: str, order: Submission) -> str:
        if order.track_id is not None:
            if session.get(tables.Track, (order.track_id, account_id)) is None:
                raise NotFound("There is no track of that id.")
            return order.track_id
        if order.song is not None:
            return self._tracks.add_song(session, account_id, order.song).id
        if not order.source_url:
            raise InvalidRequest("source", "A song is needed: the id of a track, or a URL.")
        title = order.source_url.split("?")[0].rstrip("/").rpartition("/")[2] or "song"
        return self._tracks.add_url(session, account_id, order.source_url, title[:200]).id

    def _repeated(self, account_id: str, order: Submission, session: Session | None = None) -> Task | None:
        if session is None:
            with self._database.read() as reading:
                return self._repeated(account_id, order, reading)
        known = session.get(tables.IdempotencyKey, (account_id, order.idempotency_key))
        if known is None:
            return None
        if known.body_digest != order.body_digest:
            raise Conflict("This Idempotency-Key was used with another body; take a new key for a new request.")
        return load_task(session, known.task_id)


def _own(session: Session, account_id: str, task_id: str) -> tables.Task | None:
    """The account's task of that id. The account is part of the query, so that other accounts' ids take no longer."""
    return session.scalar(select(tables.Task).where(tables.Task.id == task_id, tables.Task.account_id == account_id))


def _wav_cache_key(order: Submission) -> str | None:
    """Is known before the work, so that a second order for the same audio can be refused."""
    return f"wav of {order.audio_id}" if order.kind == WAV else None
