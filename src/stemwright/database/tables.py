"""The tables. Times are seconds since 1970 (UTC), money is hundredths of a credit, ids are 32 hex digits."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, ForeignKey, Index, Integer, String, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

HexId = String(32)


class Base(DeclarativeBase):
    """Base of all tables."""

    type_annotation_map = {dict[str, Any]: JSON}  # noqa: RUF012


class Fact(Base):
    """One fact about this server: its secrets, whether it is under maintenance."""

    __tablename__ = "facts"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class Account(Base):
    """Who owns tracks and tasks. ``balance`` is the sum of its credit entries."""

    __tablename__ = "accounts"
    id: Mapped[str] = mapped_column(HexId, primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    metered: Mapped[bool] = mapped_column(default=False)
    balance: Mapped[int] = mapped_column(default=0)
    quota_mb: Mapped[int | None]  # none: the server's; 0: no limit
    created_at: Mapped[float]


class ApiKey(Base):
    """An API key of an account. Only the SHA-256 of the key is stored."""

    __tablename__ = "api_keys"
    id: Mapped[str] = mapped_column(HexId, primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    name: Mapped[str] = mapped_column(String(200))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    hint: Mapped[str] = mapped_column(String(16))
    scopes: Mapped[str] = mapped_column(String(200), default="read,write")
    rate_limit: Mapped[str | None] = mapped_column(String(32))
    max_running: Mapped[int | None]
    created_at: Mapped[float]
    revoked_at: Mapped[float | None]


class CreditEntry(Base):
    """One line of the ledger. A task is charged once and given back once."""

    __tablename__ = "credit_entries"
    __table_args__ = (UniqueConstraint("task_id", "reason"),)
    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    amount: Mapped[int]
    reason: Mapped[str] = mapped_column(String(16))  # grant, charge, refund
    task_id: Mapped[str | None] = mapped_column(HexId)
    created_at: Mapped[float]


class Blob(Base):
    """A stored file, by the SHA-256 of its bytes. It is kept while any track, stem or upload refers to it."""

    __tablename__ = "blobs"
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    size_bytes: Mapped[int]
    created_at: Mapped[float]


class Track(Base):
    """A song. ``task_id`` and ``id`` are what both faces call the task and the audio of a song.

    Two accounts may both use one song of a vendor's, so an id is an account's own.
    """

    __tablename__ = "tracks"
    __table_args__ = (Index("tracks_by_account", "account_id", "created_at"),)
    id: Mapped[str] = mapped_column(HexId, primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    task_id: Mapped[str] = mapped_column(HexId, index=True)
    position: Mapped[int] = mapped_column(default=0)
    origin: Mapped[str] = mapped_column(String(16))  # upload, url, vendor
    title: Mapped[str] = mapped_column(Text)
    url: Mapped[str | None] = mapped_column(Text)  # where its audio is fetched, while it is not stored
    blob: Mapped[str | None] = mapped_column(String(64), index=True)
    media_type: Mapped[str | None] = mapped_column(String(100))
    file_name: Mapped[str | None] = mapped_column(Text)
    size_bytes: Mapped[int | None]
    seconds: Mapped[float | None]
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)  # what the vendor says of it
    created_at: Mapped[float]
    expires_at: Mapped[float] = mapped_column(index=True)


class Upload(Base):
    """A file under a path of a vendor's upload interface; the same path again takes its place."""

    __tablename__ = "uploads"
    __table_args__ = (UniqueConstraint("account_id", "path"),)
    id: Mapped[str] = mapped_column(HexId, primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    path: Mapped[str] = mapped_column(Text)
    blob: Mapped[str | None] = mapped_column(String(64), index=True)  # none: a link to PUT it was given out
    media_type: Mapped[str] = mapped_column(String(100))
    size_bytes: Mapped[int] = mapped_column(default=0)
    created_at: Mapped[float]
    expires_at: Mapped[float] = mapped_column(index=True)


class Task(Base):
    """One separation that a client asked for."""

    __tablename__ = "tasks"
    __table_args__ = (
        Index("tasks_by_account", "account_id", "created_at"),
        Index("tasks_by_recipe", "recipe", "state"),
    )
    id: Mapped[str] = mapped_column(HexId, primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    face: Mapped[str] = mapped_column(String(8))  # kie, crun, native
    kind: Mapped[str] = mapped_column(String(32))  # the type or mode as the client named it; v1 on our own
    state: Mapped[str] = mapped_column(String(16), index=True)  # pending running succeeded failed cancelled
    stems: Mapped[str] = mapped_column(String(200))
    plan: Mapped[str] = mapped_column(String(100))
    format: Mapped[str] = mapped_column(String(8))
    bit_depth: Mapped[int | None]
    bitrate_kbps: Mapped[int | None]
    stem_name: Mapped[str | None] = mapped_column(String(64))
    track_id: Mapped[str | None] = mapped_column(HexId, index=True)
    source_url: Mapped[str | None] = mapped_column(Text)
    callback_url: Mapped[str | None] = mapped_column(Text)
    request: Mapped[dict[str, Any]] = mapped_column(default=dict)  # as the client sent it
    price: Mapped[int] = mapped_column(default=0)
    cache_key: Mapped[str | None] = mapped_column("recipe", String(64))  # equal keys give equal stems
    stage: Mapped[str | None] = mapped_column(String(16))  # fetching separating writing storing
    progress: Mapped[float] = mapped_column(default=0.0)
    cancel_requested: Mapped[bool] = mapped_column(default=False)
    error_code: Mapped[int | None]
    error_message: Mapped[str | None] = mapped_column(Text)
    seconds: Mapped[float | None]
    facts: Mapped[dict[str, Any]] = mapped_column(default=dict)  # the result without its files
    created_at: Mapped[float]
    started_at: Mapped[float | None]
    ended_at: Mapped[float | None]
    expires_at: Mapped[float] = mapped_column(index=True)


class Stem(Base):
    """One stem of a task that succeeded."""

    __tablename__ = "stems"
    __table_args__ = (UniqueConstraint("task_id", "position"),)
    id: Mapped[str] = mapped_column(HexId, primary_key=True)
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"))
    position: Mapped[int]
    name: Mapped[str] = mapped_column(String(32))
    blob: Mapped[str] = mapped_column(String(64), index=True)
    format: Mapped[str] = mapped_column(String(8))
    size_bytes: Mapped[int]
    seconds: Mapped[float]
    present: Mapped[bool]
    presence: Mapped[float]
    peak_dbfs: Mapped[float | None]
    rms_dbfs: Mapped[float | None]


class Job(Base):
    """A task in the queue. The row goes when the task has ended."""

    __tablename__ = "jobs"
    __table_args__ = (Index("jobs_by_turn", "leased_by", "priority", "queued_at"),)
    task_id: Mapped[str] = mapped_column(HexId, primary_key=True)
    account_id: Mapped[str] = mapped_column(HexId, index=True)
    priority: Mapped[int] = mapped_column(default=0)
    queued_at: Mapped[float]
    attempts: Mapped[int] = mapped_column(default=0)
    leased_by: Mapped[str | None] = mapped_column(String(100))
    leased_until: Mapped[float | None]
    token: Mapped[str | None] = mapped_column(HexId)  # a new one each lease: an old holder can write nothing


class Delivery(Base):
    """One attempt to deliver the callback of a task."""

    __tablename__ = "callback_deliveries"
    __table_args__ = (
        UniqueConstraint("task_id", "attempt"),
        Index("deliveries_due", "due_at", sqlite_where=text("state = 'pending'")),
    )
    id: Mapped[str] = mapped_column(HexId, primary_key=True)
    account_id: Mapped[str] = mapped_column(HexId)
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"))
    attempt: Mapped[int]
    state: Mapped[str] = mapped_column(String(16))  # pending delivered failed blocked dead
    due_at: Mapped[float]
    attempted_at: Mapped[float | None]
    status_code: Mapped[int | None]
    error: Mapped[str | None] = mapped_column(Text)


class IdempotencyKey(Base):
    """The answer to a request that may come again."""

    __tablename__ = "idempotency_keys"
    account_id: Mapped[str] = mapped_column(HexId, primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    body_digest: Mapped[str] = mapped_column(String(64))
    task_id: Mapped[str] = mapped_column(HexId)
    created_at: Mapped[float] = mapped_column(index=True)
