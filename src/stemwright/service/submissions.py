"""Submissions: from a client's request to a task that is stored, charged and queued."""

from __future__ import annotations

import time
from dataclasses import replace

import structlog
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.database.retry import retry_conflicts
from stemwright.database.statements import insert_if_missing, upsert
from stemwright.jobs.queue import Queue
from stemwright.service.accounts import lock_account
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
from stemwright.service.fleet import Fleet
from stemwright.service.ids import new_id
from stemwright.service.keys import Caller
from stemwright.service.rate_limits import RateLimiter
from stemwright.service.storage_quota import check_quota
from stemwright.service.task import ACTIVE_STATES, WAV, Submission, Task, load_task, order_of, task_from_row
from stemwright.service.tracks import DAY_S, Tracks, lock_track
from stemwright.settings import Settings
from stemwright.stems import select as select_stems
from stemwright.tracing import current_context

WAV_EXISTS = "WAV record already exists"
"""The vendor's messages (docs/contracts.md, section 5)."""

MAINTENANCE = "maintenance"
"""Name of the fact for maintenance mode, as `on`."""

_log = structlog.stdlib.get_logger(__name__)


class Submissions:
    """Accepts submissions. What is counted is counted in SQL, so that any number may come at once."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        queue: Queue,
        ledger: Ledger,
        tracks: Tracks,
        rate_limiter: RateLimiter,
        fleet: Fleet,
        clock: Clock = time.time,
    ) -> None:
        self._database = database
        self._settings = settings
        self._queue = queue
        self._ledger = ledger
        self._tracks = tracks
        self._rate_limiter = rate_limiter
        self._fleet = fleet
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
        if submission.kind != WAV:
            submission = replace(submission, plan=self._fleet.resolve(submission.plan, submission.stems))
        rate = self._settings.native_rate_limit if submission.face == "native" else self._settings.rate_limit
        self._rate_limiter.acquire(caller, submission.face, rate)
        accepted = self._accept(caller, submission, mode)
        _log.info(
            "task accepted", task=accepted.id, account=accepted.account_id, face=accepted.face, plan=accepted.plan
        )
        return accepted

    @retry_conflicts
    def _accept(self, caller: Caller, submission: Submission, mode: str) -> Task:
        now, task_id = self._clock(), new_id()
        with self._database.write() as session:
            if (fact := session.get(tables.Fact, MAINTENANCE)) is not None and fact.value == "on":
                raise UnderMaintenance("The service is under maintenance. Please try again later.")
            key = {
                "account_id": caller.account_id,
                "key": submission.idempotency_key,
                "body_digest": submission.body_digest,
                "task_id": task_id,
                "created_at": now,
            }
            # Whoever sends the same key at the same moment waits here for this transaction.
            if submission.idempotency_key and not insert_if_missing(session, tables.IdempotencyKey, **key):
                if (before := self._repeated_task(caller.account_id, submission, session)) is not None:
                    return before
                upsert(session, tables.IdempotencyKey, **key)  # its task was deleted
            cache_key = _wav_cache_key(submission)
            if cache_key is not None and self._has_result(session, caller.account_id, cache_key):
                raise Conflict(WAV_EXISTS)
            self._check_running(session, caller)
            check_quota(session, self._settings, caller.account_id, more_bytes=1)  # there must be room for its stems
            task = tables.Task(
                id=task_id,
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
            self._queue.enqueue(session, order_of(task, submission.priority))
            accepted = task_from_row(session, task)
            # Last: from here to the commit, other charges of the account wait.
            self._ledger.charge(session, caller.account_id, task.id, task.price)
            return accepted

    @staticmethod
    def _has_result(session: Session, account_id: str, cache_key: str) -> bool:
        """Whether the account has a task with this cache key that has succeeded or may still succeed.

        Of two that ask at once, the second waits for the first.
        """
        lock_account(session, account_id)
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
        lock_account(session, caller.account_id)
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
            if not lock_track(session, account_id, submission.track_id):
                raise NotFound("There is no track with this id.")
            return submission.track_id
        if submission.song is not None:
            return self._tracks.add_song(session, account_id, submission.song).id
        if not submission.source_url:
            raise InvalidRequest("source", "A song is needed: the id of a track, or a URL.")
        title = submission.source_url.split("?")[0].rstrip("/").rpartition("/")[2] or "song"
        return self._tracks.add_url(session, account_id, submission.source_url, title[:200]).id

    def _repeated_task(self, account_id: str, submission: Submission, session: Session | None = None) -> Task | None:
        """Returns the task that the submission's idempotency key has made; with a session, in its transaction."""
        if session is None:
            with self._database.read() as reading:
                return _task_of_key(reading, account_id, submission, lock=False)
        return _task_of_key(session, account_id, submission, lock=True)


def _task_of_key(session: Session, account_id: str, submission: Submission, *, lock: bool) -> Task | None:
    name = (account_id, submission.idempotency_key)
    known = session.get(tables.IdempotencyKey, name, with_for_update=lock)
    if known is None:
        return None
    if known.body_digest != submission.body_digest:
        raise Conflict("This Idempotency-Key was used with another body; take a new key for a new request.")
    return load_task(session, known.task_id)


def _wav_cache_key(submission: Submission) -> str | None:
    """Returns the cache key of a WAV before work begins, so that a second submission for the audio can be refused."""
    return f"wav of {submission.audio_id}" if submission.kind == WAV else None
