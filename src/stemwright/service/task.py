"""A task as others see it, and what a client asks for."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal

from sqlalchemy import select
from sqlalchemy.orm import Session

from stemwright.database import tables
from stemwright.service.tracks import StoredSong

Face = Literal["kie", "crun", "native"]
TaskState = Literal["pending", "running", "succeeded", "failed", "cancelled"]

ACTIVE_STATES = ("pending", "running")

WAV = "wav"
"""The kind of a task that gives a song, or a stem, as WAV. All other kinds are separations."""


@dataclass(frozen=True)
class Submission:
    """What a client asks for.

    Attributes:
        face: where it asks; kind: the type or mode by which it is priced, ``v1`` on our own face.
        stems: ``two``, ``twelve`` or names, as the command line has them.
        track_id, source_url, song: the song; one of the three.
        request: the request's body, for faces that give it back; stem_name: the vendor's name of a single stem; of a WAV
            the name of the stem that it is made of, None for a song.
        audio_id: of a WAV, the song or stem that it is made of; the account has one WAV of each.
        priority: higher ones of the account go first.
        idempotency_key, body_digest: the same key with the same body gives the same task.
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
    """A task of an account; the attributes are the columns of the table, and its stems in order."""

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
    stems: tuple[Stem, ...] = ()

    @property
    def is_wav(self) -> bool:
        """Whether it gives a WAV, and separates nothing."""
        return self.kind == WAV

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will change."""
        return self.state not in ACTIVE_STATES

    @property
    def mark(self) -> str:
        """Names what a client sees move: two looks at the task with the same mark are the same to it."""
        return mark_of(self.state, self.stage, self.progress, self.cancel_requested)


def mark_of(state: str, stage: str | None, progress: float, cancel_requested: bool) -> str:
    """See ``Task.mark``."""
    return f"{state}-{stage or ''}-{progress:.4f}-{int(cancel_requested)}"


def load_task(session: Session, task_id: str) -> Task | None:
    """The task of that id with its stems, of whichever account, within a transaction."""
    row = session.get(tables.Task, task_id)
    return task_from_row(session, row) if row is not None else None


def newest_tasks(session: Session, account_id: str | None, limit: int) -> list[Task]:
    """The newest tasks of an account, or of all, within a transaction."""
    query = select(tables.Task).order_by(tables.Task.created_at.desc()).limit(limit)
    if account_id is not None:
        query = query.where(tables.Task.account_id == account_id)
    return [task_from_row(session, row) for row in session.scalars(query)]


def task_from_row(session: Session, row: tables.Task) -> Task:
    """What others see of a row."""
    stems = session.scalars(select(tables.Stem).where(tables.Stem.task_id == row.id).order_by(tables.Stem.position))
    names = [field.name for field in fields(Task) if field.name not in ("stems", "stems_asked")]
    return Task(
        stems=tuple(Stem(**{field.name: getattr(stem, field.name) for field in fields(Stem)}) for stem in stems),
        stems_asked=row.stems,
        **{name: getattr(row, name) for name in names},
    )
