"""Objects of the API: tracks, separations, stems. Unknown fields of newer servers are ignored."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, Generic, Literal, TypeVar

State = Literal["pending", "running", "succeeded", "failed", "cancelled"]
Order = Literal["newest", "oldest", "title", "longest"]
Format = Literal["wav", "flac", "mp3", "m4a", "ogg", "opus", "aiff"]

_Record = TypeVar("_Record")


@dataclass(frozen=True)
class Track:
    """A song on the server. ``task_id`` and ``audio_id`` are its ids in the vendors' APIs; ``seconds`` is its length."""

    id: str
    task_id: str
    audio_id: str
    title: str
    origin: Literal["upload", "url", "vendor"]
    seconds: float | None
    size_bytes: int | None
    media_type: str | None
    file_name: str | None
    url: str | None
    created_at: datetime
    expires_at: datetime


@dataclass(frozen=True)
class Stem:
    """One stem, and where it can be had.

    Attributes:
        present: whether it plays; presence: the score from 0 to 1 behind that.
        peak_dbfs, rms_dbfs: in dB of full scale; None for silence.
    """

    id: str
    name: str
    url: str
    format: str
    size_bytes: int
    seconds: float
    present: bool
    presence: float
    peak_dbfs: float | None
    rms_dbfs: float | None


@dataclass(frozen=True)
class Failure:
    """Why a separation failed: 451, the song could not be had; 500 and above, it could not be separated."""

    code: int
    message: str


@dataclass(frozen=True)
class Separation:
    """A separation.

    Attributes:
        progress: from 0 to 1; stage: what is being done.
        title: of the track; None when the track is deleted.
        mode: what was asked for: ``two``, ``twelve`` or names.
        playing: the stems that play, as the order named them; None if it did not.
        credits: what it costs.
        seconds: length of the song.
        residual_db: sum of the stems less the song, in dB of the song's peak; -200: nothing; None: lossy, or not ended.
        zip: path of all stems in one file; None while there are none.
    """

    id: str
    state: State
    stage: str | None
    progress: float
    cancelling: bool
    track_id: str
    title: str | None
    mode: str
    playing: tuple[str, ...] | None
    plan: str
    format: str
    bit_depth: int | None
    bitrate_kbps: int | None
    callback_url: str | None
    credits: float
    seconds: float | None
    sample_rate: int | None
    channels: int | None
    residual_db: float | None
    gain_db: float | None
    models: tuple[str, ...]
    notes: tuple[str, ...]
    stems: tuple[Stem, ...]
    zip: str | None
    error: Failure | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    expires_at: datetime

    @property
    def has_ended(self) -> bool:
        """Whether nothing more will change."""
        return self.state in ("succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class PlanModel:
    """A model of a plan, and the licence of its weights."""

    name: str
    licence: str


@dataclass(frozen=True)
class Plan:
    """What can be named as ``plan``.

    Attributes:
        song_minutes: estimated minutes for a song of three minutes on the server; None: not known.
        is_bound: the server's speed was not measured yet: it takes less, most likely.
    """

    name: str
    title: str
    stems: tuple[str, ...]
    models: tuple[PlanModel, ...]
    song_minutes: float | None
    is_bound: bool


@dataclass(frozen=True)
class Page(Generic[_Record]):
    """Records, and where the next ones begin; None on the last page."""

    records: tuple[_Record, ...]
    next: str | None


def read_separation(facts: dict[str, Any]) -> Separation:
    """A separation as the server writes it."""
    error = facts["error"]
    parts = {
        "stems": tuple(read_record(Stem, stem) for stem in facts["stems"]),
        "error": None if error is None else read_record(Failure, error),
    }
    return read_record(Separation, {"playing": None, **facts, **parts})  # older servers do not have it


def read_track(facts: dict[str, Any]) -> Track:
    """A track as the server writes it."""
    return read_record(Track, facts)


def read_plan(facts: dict[str, Any]) -> Plan:
    """Reads a plan."""
    models = tuple(PlanModel(model["name"], model["licence"]) for model in facts["models"])
    return read_record(Plan, {**facts, "models": models})


def read_record(record: type[_Record], facts: dict[str, Any]) -> _Record:
    """A record from a JSON object; times are parsed and lists become tuples."""
    return record(**{field.name: _value(field.name, facts[field.name]) for field in fields(record)})  # type: ignore[arg-type]


def _value(name: str, value: Any) -> Any:
    if name.endswith("_at") and value is not None:
        return datetime.fromisoformat(value)
    if name == "day":
        return date.fromisoformat(value)
    return tuple(value) if isinstance(value, list) else value
