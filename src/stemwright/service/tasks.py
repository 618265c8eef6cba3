"""Tasks: separations and WAV conversions. Credits and state change together; SQL guards every state change."""

from __future__ import annotations

import time
from collections.abc import Collection

import structlog
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.jobs.queue import Queue
from stemwright.service.blobs import start_grace_period
from stemwright.service.clock import Clock
from stemwright.service.credit_ledger import Ledger
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
from stemwright.service.rate_limits import RateLimiter
from stemwright.service.storage_quota import check_quota
from stemwright.service.task import (
    ACTIVE_STATES,
    WAV,
    Submission,
    Task,
    load_task,
    mark_of,
    task_from_row,
)
from stemwright.service.task_completion import TaskCompletion
from stemwright.service.task_list import FIRST_PAGE, TaskQuery, list_tasks
from stemwright.service.tracks import DAY_S, Tracks
from stemwright.settings import Settings
from stemwright.stems import select as select_stems
from stemwright.tracing import current_context

WAV_EXISTS = "WAV record already exists"
"""The vendor's messages (docs/contracts.md, section 5)."""

IDS_PER_QUERY = 500
"""Maximum ids per query; SQLite's limit is 32,766."""

MAINTENANCE = "maintenance"
"""Name of the fact for maintenance mode, as `on`."""

_log = structlog.stdlib.get_logger(__name__)


class Tasks:
    """All tasks. Every client query names its account."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        queue: Queue,
        ledger: Ledger,
        tracks: Tracks,
        rate_limiter: RateLimiter,
        completion: TaskCompletion,
        clock: Clock = time.time,
    ) -> None:
        self._database = database
        self._settings = settings
        self._queue = queue
        self._ledger = ledger
        self._tracks = tracks
        self._rate_limiter = rate_limiter
        self._completion = completion
        self._clock = clock

    def submit(self, caller: Caller, submission: Submission) -> Task:
        """Accepts a submission: stores, charges and queues it in one transaction.

        Raises:
            SwitchedOff, UnderMaintenance, RateLimited, TooManyRunning, QuotaExceeded, InsufficientCredits: refused,
                and nothing is charged.
            InvalidRequest: the stems are invalid.
            Conflict: the idempotency key was used with another body, or the account has a WAV of this audio.
            NotFound: the account has no such track.
        """
        if submission.kind in self._settings.disabled:
            raise SwitchedOff(f"{submission.kind} is switched off on this server.")
        mode = WAV if submission.kind == WAV else select_stems(submission.stems).mode
        if submission.idempotency_key and (before := self._repeated_task(caller.account_id, submission)) is not None:
            return before
        rate = self._settings.native_rate_limit if submission.face == "native" else self._settings.rate_limit
        self._rate_limiter.acquire(caller, submission.face, rate)
        now = self._clock()
        with self._database.write() as session:
            if (fact := session.get(tables.Fact, MAINTENANCE)) is not None and fact.value == "on":
                raise UnderMaintenance("The service is under maintenance. Please try again later.")
            if (
                submission.idempotency_key
                and (before := self._repeated_task(caller.account_id, submission, session)) is not None
            ):
                return before
            cache_key = _wav_cache_key(submission)
            if cache_key is not None and self._has_result(session, caller.account_id, cache_key):
                raise Conflict(WAV_EXISTS)
            self._check_running(session, caller)
            check_quota(session, self._settings, caller.account_id, more_bytes=1)  # there must be room for its stems
            task = tables.Task(
                id=new_id(),
                account_id=caller.account_id,
                face=submission.face,
                kind=submission.kind,
                state="pending",
                stems=mode,
                plan=submission.plan,
                format=submission.format,
                bit_depth=submission.bit_depth,
                bitrate_kbps=submission.bitrate_kbps,
                stem_name=submission.stem_name,
                track_id=self._track_id(session, caller.account_id, submission),
                source_url=submission.source_url,
                callback_url=submission.callback_url,
                request=submission.request or {},
                price=self._settings.price(submission.kind),
                cache_key=cache_key,
                progress=0.0,
                cancel_requested=False,
                facts={},
                created_at=now,
                expires_at=now + self._settings.retention_days * DAY_S,
                trace_context=current_context(),
            )
            session.add(task)
            session.flush()
            self._ledger.charge(session, caller.account_id, task.id, task.price)
            self._queue.enqueue(session, task.id, caller.account_id, submission.priority)
            if submission.idempotency_key:
                session.add(
                    tables.IdempotencyKey(
                        account_id=caller.account_id,
                        key=submission.idempotency_key,
                        body_digest=submission.body_digest,
                        task_id=task.id,
                        created_at=now,
                    )
                )
            accepted = task_from_row(session, task)
        _log.info(
            "task accepted", task=accepted.id, account=accepted.account_id, face=accepted.face, plan=accepted.plan
        )
        return accepted

    def get(self, account_id: str, task_id: str) -> Task | None:
        """Returns a task by id."""
        with self._database.read() as session:
            row = _own(session, account_id, task_id)
            return task_from_row(session, row) if row is not None else None

    def any(self, task_id: str) -> Task | None:
        """Returns a task of any account: for workers and callbacks."""
        with self._database.read() as session:
            return load_task(session, task_id)

    def marks(self, task_ids: Collection[str]) -> dict[str, str]:
        """Returns ``Task.mark`` for tasks of any account; unknown ids are omitted."""
        ids, found = list(task_ids), dict[str, str]()
        row = tables.Task
        with self._database.read() as session:
            for start in range(0, len(ids), IDS_PER_QUERY):
                query = select(row.id, row.state, row.stage, row.progress, row.cancel_requested)
                for task_id, state, stage, progress, cancel_requested in session.execute(
                    query.where(row.id.in_(ids[start : start + IDS_PER_QUERY]))
                ):
                    found[task_id] = mark_of(state, stage, progress, cancel_requested)
        return found

    def of_stem(self, account_id: str, stem_id: str) -> Task | None:
        """Returns the task that a stem belongs to."""
        with self._database.read() as session:
            query = select(tables.Task).join(tables.Stem, tables.Stem.task_id == tables.Task.id)
            row = session.scalar(query.where(tables.Stem.id == stem_id, tables.Task.account_id == account_id))
            return task_from_row(session, row) if row is not None else None

    def list(self, account_id: str, wanted: TaskQuery = FIRST_PAGE) -> list[Task]:
        """Returns a page of tasks.

        Raises:
            NotFound: the task after which the page starts no longer exists.
        """
        with self._database.read() as session:
            return list_tasks(session, account_id, wanted)

    def cancel(self, account_id: str, task_id: str) -> Task:
        """Cancels a task: a waiting task at once, a running task at its next chunk. An ended task is unchanged.

        Raises:
            NotFound: the account has no such task.
        """
        with self._database.write() as session:
            row = _own(session, account_id, task_id)
            if row is None:
                raise NotFound("There is no task with this id.")
            job = session.get(tables.Job, task_id)
            if row.state in ACTIVE_STATES and (job is None or job.leased_by is None):  # not held by a worker
                self._completion.end(session, row, "cancelled")
            elif row.state == "running":
                row.cancel_requested = True
            return task_from_row(session, row)

    def delete(self, account_id: str, task_id: str, *, with_track: bool = False) -> None:
        """Deletes an ended task and its stems; ``with_track`` also its track, unless another task needs it.

        Raises:
            NotFound: the account has no such task.
            Conflict: the task has not ended.
        """
        with self._database.write() as session:
            row = _own(session, account_id, task_id)
            if row is None:
                raise NotFound("There is no task with this id.")
            if row.state in ACTIVE_STATES:
                raise Conflict("The task is under way: cancel it first.")
            session.execute(delete(tables.IdempotencyKey).where(tables.IdempotencyKey.task_id == task_id))
            stems = session.scalars(select(tables.Stem.blob).where(tables.Stem.task_id == task_id)).all()
            track_id = row.track_id
            session.delete(row)
            session.flush()
            if with_track and track_id:
                self._tracks.delete_unused(session, account_id, track_id)
            start_grace_period(session, stems, self._clock())

    @staticmethod
    def _has_result(session: Session, account_id: str, cache_key: str) -> bool:
        """Whether the account has a task with this cache key that has succeeded or may still succeed."""
        query = select(tables.Task.id).where(
            tables.Task.cache_key == cache_key,
            tables.Task.account_id == account_id,
            tables.Task.state.in_((*ACTIVE_STATES, "succeeded")),
        )
        return session.scalar(query.limit(1)) is not None

    def _check_running(self, session: Session, caller: Caller) -> None:
        allowed = self._settings.max_running if caller.max_running is None else caller.max_running
        if not allowed:
            return
        under_way = session.scalar(
            select(func.count()).where(
                tables.Task.account_id == caller.account_id, tables.Task.state.in_(ACTIVE_STATES)
            )
        )
        if (under_way or 0) >= allowed:
            raise TooManyRunning(
                f"This key has the maximum number of unfinished tasks ({allowed}). Please try again later."
            )

    def _track_id(self, session: Session, account_id: str, submission: Submission) -> str:
        if submission.track_id is not None:
            if session.get(tables.Track, (submission.track_id, account_id)) is None:
                raise NotFound("There is no track with this id.")
            return submission.track_id
        if submission.song is not None:
            return self._tracks.add_song(session, account_id, submission.song).id
        if not submission.source_url:
            raise InvalidRequest("source", "A song is needed: the id of a track, or a URL.")
        title = submission.source_url.split("?")[0].rstrip("/").rpartition("/")[2] or "song"
        return self._tracks.add_url(session, account_id, submission.source_url, title[:200]).id

    def _repeated_task(self, account_id: str, submission: Submission, session: Session | None = None) -> Task | None:
        if session is None:
            with self._database.read() as reading:
                return self._repeated_task(account_id, submission, reading)
        known = session.get(tables.IdempotencyKey, (account_id, submission.idempotency_key))
        if known is None:
            return None
        if known.body_digest != submission.body_digest:
            raise Conflict("This Idempotency-Key was used with another body; take a new key for a new request.")
        return load_task(session, known.task_id)


def _own(session: Session, account_id: str, task_id: str) -> tables.Task | None:
    """Returns the account's task. One query checks both ids: timing must not reveal ids of other accounts."""
    return session.scalar(select(tables.Task).where(tables.Task.id == task_id, tables.Task.account_id == account_id))


def _wav_cache_key(submission: Submission) -> str | None:
    """Returns the cache key of a WAV before work begins, so that a second submission for the audio can be refused."""
    return f"wav of {submission.audio_id}" if submission.kind == WAV else None
