"""Tables. Times are seconds since 1970 (UTC), amounts are hundredths of a credit, ids are 32 hex digits."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Double, ForeignKey, Index, Integer, String, Text, UniqueConstraint, text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

HexId = String(32)
Large = BigInteger().with_variant(Integer(), "sqlite")
"""64 bits on every database; SQLite's INTEGER has them, and only that type numbers its rows."""
SongPath = String(1000).with_variant(String(1000, collation="C"), "postgresql")
"""Sorted by its code points everywhere, whatever the language of the database."""

_PENDING = text("state = 'pending'")
_DEAD = text("state = 'dead'")


class Base(DeclarativeBase):
    """Base of all tables."""

    type_annotation_map = {dict[str, Any]: JSON, float: Double}  # noqa: RUF012


class Fact(Base):
    """A fact about this server, e.g. a secret or maintenance mode."""

    __tablename__ = "facts"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    value: Mapped[str] = mapped_column(Text)


class Account(Base):
    """Owner of tracks and tasks. ``balance`` is the sum of its credit entries."""

    __tablename__ = "accounts"
    id: Mapped[str] = mapped_column(HexId, primary_key=True)
    name: Mapped[str] = mapped_column(String(200), unique=True)
    metered: Mapped[bool] = mapped_column(default=False)
    balance: Mapped[int] = mapped_column(Large, default=0)
    quota_mb: Mapped[int | None]  # None: the server's default; 0: no limit
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
    """One ledger entry. A task is charged once and refunded once."""

    __tablename__ = "credit_entries"
    __table_args__ = (UniqueConstraint("task_id", "reason"),)
    id: Mapped[int] = mapped_column(Large, primary_key=True, autoincrement=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    amount: Mapped[int] = mapped_column(Large)
    reason: Mapped[str] = mapped_column(String(16))  # grant, charge, refund
    task_id: Mapped[str | None] = mapped_column(HexId)
    created_at: Mapped[float]


class Blob(Base):
    """A stored file, by SHA-256. Kept while any track, stem, upload, row of peaks or derived file refers to it."""

    __tablename__ = "blobs"
    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    size_bytes: Mapped[int] = mapped_column(Large)
    created_at: Mapped[float]


class Track(Base):
    """A song. The faces use ``task_id`` and ``id`` as the task id and audio id of a song.

    Two accounts may use the same vendor song, so ids are unique only per account.
    """

    __tablename__ = "tracks"
    __table_args__ = (Index("tracks_by_account", "account_id", "created_at"),)
    id: Mapped[str] = mapped_column(HexId, primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    task_id: Mapped[str] = mapped_column(HexId, index=True)
    position: Mapped[int] = mapped_column(default=0)
    origin: Mapped[str] = mapped_column(String(16))  # upload, url, vendor
    title: Mapped[str] = mapped_column(Text)
    url: Mapped[str | None] = mapped_column(Text)  # where to fetch the audio while it is not stored
    blob: Mapped[str | None] = mapped_column(String(64), index=True)
    media_type: Mapped[str | None] = mapped_column(String(100))
    file_name: Mapped[str | None] = mapped_column(Text)
    size_bytes: Mapped[int | None] = mapped_column(Large)
    seconds: Mapped[float | None]
    details: Mapped[dict[str, Any]] = mapped_column(default=dict)  # details from the vendor
    created_at: Mapped[float]
    expires_at: Mapped[float] = mapped_column(index=True)


class Upload(Base):
    """A file under a path of a vendor's upload API; a new upload to the path replaces it."""

    __tablename__ = "uploads"
    __table_args__ = (UniqueConstraint("account_id", "path"),)
    id: Mapped[str] = mapped_column(HexId, primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    path: Mapped[str] = mapped_column(Text)
    blob: Mapped[str | None] = mapped_column(String(64), index=True)  # None: reserved, a PUT link was issued
    media_type: Mapped[str] = mapped_column(String(100))
    size_bytes: Mapped[int] = mapped_column(Large, default=0)
    created_at: Mapped[float]
    expires_at: Mapped[float] = mapped_column(index=True)


class Task(Base):
    """A separation or WAV conversion requested by a client."""

    __tablename__ = "tasks"
    __table_args__ = (
        Index("tasks_by_account", "account_id", "created_at"),
        Index("tasks_by_recipe", "recipe", "state"),
        Index("tasks_waiting", "plan", "created_at", sqlite_where=_PENDING, postgresql_where=_PENDING),
        Index("tasks_by_state", "state", "ended_at"),
    )
    id: Mapped[str] = mapped_column(HexId, primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    face: Mapped[str] = mapped_column(String(8))  # kie, crun, native
    kind: Mapped[str] = mapped_column(String(32))  # type or mode as named by the client; v1 on the native face
    state: Mapped[str] = mapped_column(String(16))  # pending running succeeded failed cancelled
    stems: Mapped[str] = mapped_column(String(200))
    plan: Mapped[str] = mapped_column(String(100))
    format: Mapped[str] = mapped_column(String(8))
    bit_depth: Mapped[int | None]
    bitrate_kbps: Mapped[int | None]
    stem_name: Mapped[str | None] = mapped_column(String(64))
    track_id: Mapped[str | None] = mapped_column(HexId, index=True)
    source_url: Mapped[str | None] = mapped_column(Text)
    callback_url: Mapped[str | None] = mapped_column(Text)
    request: Mapped[dict[str, Any]] = mapped_column(default=dict)  # request body from the client
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
    trace_context: Mapped[str | None] = mapped_column(String(64))  # W3C traceparent of the request


class Stem(Base):
    """One stem of a succeeded task."""

    __tablename__ = "stems"
    __table_args__ = (UniqueConstraint("task_id", "position"),)
    id: Mapped[str] = mapped_column(HexId, primary_key=True)
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"))
    position: Mapped[int]
    name: Mapped[str] = mapped_column(String(32))
    blob: Mapped[str] = mapped_column(String(64), index=True)
    format: Mapped[str] = mapped_column(String(8))
    size_bytes: Mapped[int] = mapped_column(Large)
    seconds: Mapped[float]
    present: Mapped[bool]
    presence: Mapped[float]
    peak_dbfs: Mapped[float | None]
    rms_dbfs: Mapped[float | None]


class Peaks(Base):
    """The peaks file of a stored sound file, by the digests of both. Kept as long as the sound file."""

    __tablename__ = "peaks"
    source: Mapped[str] = mapped_column(String(64), primary_key=True)
    blob: Mapped[str] = mapped_column(String(64), index=True)
    size_bytes: Mapped[int] = mapped_column(Large)


class DerivedFile(Base):
    """A file that was computed from a stored sound file, such as its spectrogram; it can be computed again.

    Kept as long as the sound file, and while it is used.
    """

    __tablename__ = "derived_files"
    source: Mapped[str] = mapped_column(String(64), primary_key=True)
    kind: Mapped[str] = mapped_column(String(100), primary_key=True)
    blob: Mapped[str] = mapped_column(String(64), index=True)
    size_bytes: Mapped[int] = mapped_column(Large)
    used_at: Mapped[float] = mapped_column(index=True)


class Rendering(Base):
    """The stems of a separation at another speed or in another key. Its files are derived files of the stems.

    An attempt has a new id, so that whoever made an earlier one finds that it is no longer wanted.
    """

    __tablename__ = "renderings"
    __table_args__ = (UniqueConstraint("task_id", "speed", "transposition"),)
    id: Mapped[str] = mapped_column(HexId, primary_key=True)
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"))
    speed: Mapped[int]  # in thousandths
    transposition: Mapped[int]  # in cents
    state: Mapped[str] = mapped_column(String(16))  # running succeeded failed
    progress: Mapped[float]
    error: Mapped[str | None] = mapped_column(Text)
    sample_rate: Mapped[int]
    samples: Mapped[int] = mapped_column(Large)
    created_at: Mapped[float]
    claimed_until: Mapped[float]  # while it is running: until then one of several servers makes it


class Job(Base):
    """A task in the queue. The row is deleted when the task ends."""

    __tablename__ = "jobs"
    __table_args__ = (Index("jobs_by_turn", "leased_by", "priority", "queued_at"),)
    task_id: Mapped[str] = mapped_column(HexId, primary_key=True)
    account_id: Mapped[str] = mapped_column(HexId, index=True)
    priority: Mapped[int] = mapped_column(default=0)
    queued_at: Mapped[float]
    attempts: Mapped[int] = mapped_column(default=0)
    leased_by: Mapped[str | None] = mapped_column(String(100))
    leased_until: Mapped[float | None]
    token: Mapped[str | None] = mapped_column(HexId)  # new for each lease: a former holder cannot write


class WorkingPart(Base):
    """A piece of a working file of an unfinished task, stored so that another machine can go on from it."""

    __tablename__ = "working_parts"
    task_id: Mapped[str] = mapped_column(ForeignKey("tasks.id", ondelete="CASCADE"), primary_key=True)
    path: Mapped[str] = mapped_column(String(200), primary_key=True)
    start: Mapped[int] = mapped_column(Large, primary_key=True)
    blob: Mapped[str] = mapped_column(String(64), index=True)
    size_bytes: Mapped[int] = mapped_column(Large)


class Worker(Base):
    """A worker on any machine, while its row in Procrastinate's table of workers has a recent heartbeat."""

    __tablename__ = "workers"
    id: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)  # of procrastinate_workers
    name: Mapped[str] = mapped_column(String(200), unique=True)
    host: Mapped[str] = mapped_column(String(100))
    pid: Mapped[int]
    queues: Mapped[str] = mapped_column(Text)  # separated by commas, as plans
    plans: Mapped[str | None] = mapped_column(Text)  # None: any
    device: Mapped[str] = mapped_column(String(32))
    memory_mb: Mapped[int]
    release: Mapped[str] = mapped_column(String(32))
    started_at: Mapped[float]


class Delivery(Base):
    """One attempt to deliver the callback of a task."""

    __tablename__ = "callback_deliveries"
    __table_args__ = (
        UniqueConstraint("task_id", "attempt"),
        Index(
            "deliveries_due",
            "due_at",
            sqlite_where=_PENDING,
            postgresql_where=_PENDING,
        ),
        Index("deliveries_dead", "attempted_at", sqlite_where=_DEAD, postgresql_where=_DEAD),
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
    claimed_until: Mapped[float | None]  # by the database's clock: until then one of several servers is sending it


class RateEvent(Base):
    """A new task that counts for a rate limit, where several servers share one database."""

    __tablename__ = "rate_events"
    __table_args__ = (Index("rate_events_by_scope", "scope", "at"),)
    id: Mapped[int] = mapped_column(Large, primary_key=True, autoincrement=True)
    scope: Mapped[str] = mapped_column(String(80))
    at: Mapped[float] = mapped_column(index=True)  # by the database's clock


class IdempotencyKey(Base):
    """The task created by a request that may be repeated."""

    __tablename__ = "idempotency_keys"
    account_id: Mapped[str] = mapped_column(HexId, primary_key=True)
    key: Mapped[str] = mapped_column(String(255), primary_key=True)
    body_digest: Mapped[str] = mapped_column(String(64))
    task_id: Mapped[str] = mapped_column(HexId)
    created_at: Mapped[float] = mapped_column(index=True)


class Batch(Base):
    """The songs of a folder, or of a prefix of an object store, that become stems in another one."""

    __tablename__ = "batches"
    id: Mapped[str] = mapped_column(HexId, primary_key=True)
    target: Mapped[str] = mapped_column(String(1000), unique=True)
    options: Mapped[dict[str, Any]]


class BatchSong(Base):
    """A song of a batch. While it is running, its lease is as that of a job."""

    __tablename__ = "batch_songs"
    __table_args__ = (Index("batch_songs_by_state", "batch_id", "state", "path"),)
    batch_id: Mapped[str] = mapped_column(ForeignKey("batches.id", ondelete="CASCADE"), primary_key=True)
    path: Mapped[str] = mapped_column(SongPath, primary_key=True)
    version: Mapped[str] = mapped_column(String(200))  # changes with the content: size and time, or an ETag
    state: Mapped[str] = mapped_column(String(16))  # waiting running done failed
    attempts: Mapped[int] = mapped_column(default=0)
    leased_by: Mapped[str | None] = mapped_column(String(100))
    leased_until: Mapped[float | None]  # by the database's clock
    token: Mapped[str | None] = mapped_column(HexId)
    facts: Mapped[dict[str, Any] | None]  # its line in the manifest
    error: Mapped[str | None] = mapped_column(Text)
    exit_code: Mapped[int] = mapped_column(default=0)
