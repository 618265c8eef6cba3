"""Task, Stem and Submission records."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.jobs.queue import Order
from stemwright.service.tracks import StoredSong

Face = Literal["kie", "crun", "native"]
TaskState = Literal["pending", "running", "succeeded", "failed", "cancelled"]

ACTIVE_STATES = ("pending", "running")

WAV = "wav"
"""Kind of a task that converts a song or a stem to WAV. All other kinds are separations."""


@dataclass(frozen=True)
class Submission:
    """A client's request for a task.

    Attributes:
        face: where it was submitted; kind: the type or mode that sets the price, ``v1`` on the native face.
        stems: ``two``, ``twelve`` or stem names, as on the command line.
        track_id, source_url, song: the song; exactly one is set.
        request: the request body, for faces that return it; stem_name: the vendor's name of a single stem; for a WAV
            the name of the source stem, None for a song.
        audio_id: for a WAV, the source song or stem; an account has at most one WAV of each.
        priority: higher values run first within the account.
        idempotency_key, body_digest: the same key with the same body returns the same task.
    """

    face: Face
    kind: str
    stems: str
    plan: str
    format: str
    bit_depth: int | None = None
    bitrate_kbps: int | None = None
    track_id: str | None = None
    source_url: str | None = None
    song: StoredSong | None = None
    callback_url: str | None = None
    request: dict[str, Any] | None = None
    stem_name: str | None = None
    audio_id: str | None = None
    priority: int = 0
    idempotency_key: str | None = None
    body_digest: str = ""


@dataclass(frozen=True)
class Stem:
    """One stem of a task; ``blob`` is the digest of its file."""

    id: str
    name: str
    position: int
    blob: str
    format: str
    size_bytes: int
    seconds: float
    present: bool
    presence: float
    peak_dbfs: float | None
    rms_dbfs: float | None


@dataclass(frozen=True)
class Task:
    """A task of an account: the columns of the table, its stems in order, and the title of its track, if it is kept."""

    id: str
    account_id: str
    face: Face
    kind: str
    state: TaskState
    stems_asked: str
    plan: str
    format: str
    bit_depth: int | None
    bitrate_kbps: int | None
    stem_name: str | None
    track_id: str
    source_url: str | None
    callback_url: str | None
    request: dict[str, Any]
    price: int
    cache_key: str | None
    stage: str | None
    progress: float
    cancel_requested: bool
    error_code: int | None
    error_message: str | None
    seconds: float | None
    facts: dict[str, Any]
    created_at: float
    started_at: float | None
    ended_at: float | None
    expires_at: float
    trace_context: str | None
    stems: tuple[Stem, ...] = ()
    title: str | None = None

    @property
    def is_wav(self) -> bool:
        """Whether the task is a WAV conversion, not a separation."""
        return self.kind == WAV

    @property
    def playing(self) -> tuple[str, ...] | None:
        """The stems that play in the song, where the client named them."""
        named = self.request.get("playing") if self.face == "native" else None
        return None if named is None else tuple(named)

    @property
    def has_ended(self) -> bool:
        """Whether the task is in a final state."""
        return self.state not in ACTIVE_STATES

    @property
    def mark(self) -> str:
        """Identifies the state visible to clients: if two reads give the same mark, nothing visible has changed."""
        return mark_of(self.state, self.stage, self.progress, self.cancel_requested)


def mark_of(state: str, stage: str | None, progress: float, cancel_requested: bool) -> str:
    """See ``Task.mark``."""
    return f"{state}-{stage or ''}-{progress:.4f}-{int(cancel_requested)}"


def load_task(session: Session, task_id: str) -> Task | None:
    """Returns a task of any account with its stems, in a transaction."""
    row = session.get(tables.Task, task_id)
    return task_from_row(session, row) if row is not None else None


def newest_tasks(session: Session, account_id: str | None, limit: int) -> list[Task]:
    """Returns the newest tasks of an account, or of all accounts, in a transaction."""
    query = select(tables.Task).order_by(tables.Task.created_at.desc()).limit(limit)
    if account_id is not None:
        query = query.where(tables.Task.account_id == account_id)
    return [task_from_row(session, row) for row in session.scalars(query)]


def task_from_row(session: Session, row: tables.Task) -> Task:
    """Converts a table row to a Task."""
    stems = session.scalars(select(tables.Stem).where(tables.Stem.task_id == row.id).order_by(tables.Stem.position))
    title = select(tables.Track.title).where(tables.Track.id == row.track_id, tables.Track.account_id == row.account_id)
    names = [field.name for field in fields(Task) if field.name not in ("stems", "stems_asked", "title")]
    return Task(
        stems=tuple(Stem(**{field.name: getattr(stem, field.name) for field in fields(Stem)}) for stem in stems),
        stems_asked=row.stems,
        title=session.scalar(title),
        **{name: getattr(row, name) for name in names},
    )


def order_of(row: tables.Task, priority: int) -> Order:
    """What the queue must know of a task."""
    is_wav = row.kind == WAV
    return Order(
        task_id=row.id,
        account_id=row.account_id,
        queue="conversion" if is_wav else "separation",
        plan="" if is_wav else row.plan,
        priority=priority,
    )
