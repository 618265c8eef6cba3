"""Requests and responses of our own API, for OpenAPI and our clients."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from stemwright.api.problems import InvalidFields

Scope = Literal["read", "write", "operator"]
State = Literal["pending", "running", "succeeded", "failed", "cancelled"]

URI: dict[str, Any] = {"format": "uri"}
UUID: dict[str, Any] = {"format": "uuid"}

ID = Field(examples=["0b6f1a52-3d0c-4c2e-9d2f-2f6f0a7d9b11"])


class ApiRequest(BaseModel):
    """A body: unknown fields are refused, and no type is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class TrackRequest(ApiRequest):
    """A song by its URL."""

    url: str = Field(description="URL of the song; it is fetched for the first separation.", json_schema_extra=URI)
    title: str | None = Field(None, max_length=500)


class TrackChange(ApiRequest):
    """A new title of a song."""

    title: str = Field(min_length=1, max_length=500)


class SeparationRequest(ApiRequest):
    """Which song to separate, and how."""

    track_id: str | None = Field(None, description="Id of a track. Send this or `url`.", json_schema_extra=UUID)
    url: str | None = Field(None, description="URL of the song. Send this or `track_id`.", json_schema_extra=URI)
    stems: str | list[str] = Field("two", description="`two`, `twelve`, or names of stems, which also give `residual`.")
    playing: str | list[str] | None = Field(
        None, description="The stems that play in the song, where you know them; `vocals` stands for all singing."
    )
    plan: str = Field("auto", description="See /v1/plans. The answer has the plan that auto chose.")
    format: Literal["wav", "flac", "mp3", "m4a", "ogg", "opus", "aiff"] = "wav"
    bit_depth: Literal[16, 24, 32] | None = Field(
        None, description="For wav, flac and aiff; 32 is float. Default: that of the song."
    )
    bitrate_kbps: int | None = Field(None, description="For lossy formats. Default: a high variable bit rate.")
    callback_url: str | None = Field(
        None, description="Gets a POST when the separation has ended.", json_schema_extra=URI
    )
    priority: int = Field(0, ge=-10, le=10, description="Your tasks with a higher priority run first.")

    @field_validator("stems", "playing", mode="before")
    @classmethod
    def _names(cls, value: object, info: ValidationInfo) -> object:
        """One message for both accepted types, where pydantic would give one message per type."""
        if isinstance(value, str) or (isinstance(value, list) and all(isinstance(name, str) for name in value)):
            return value
        if info.field_name == "playing":
            if value is None:
                return None
            raise PydanticCustomError("playing", "Send a list of names, or null")
        raise PydanticCustomError("stems", "Send two, twelve, or a list of names")


class SessionRequest(ApiRequest):
    """A key, or the token of a one-time link."""

    key: str | None = Field(None, description="An API key. Send this or `link`.")
    link: str | None = Field(None, description="Token of the one-time link that `serve` prints.")
    remember: bool = Field(True, description="Keep the session for 30 days, not only until the browser is closed.")


class UsedKey(BaseModel):
    """The key of a request; ``hint`` is its first characters."""

    id: Annotated[str, ID]
    name: str
    hint: str
    scopes: list[Scope]


class SessionView(BaseModel):
    """A session of a browser. Its token is in a cookie alone."""

    account: str
    key: UsedKey
    expires_at: datetime


class KeyRequest(ApiRequest):
    """A new key. ``operator`` administers the server."""

    name: str = Field(min_length=1, max_length=200)
    scopes: list[Scope] = Field(["read", "write"], min_length=1, max_length=3)


class Key(UsedKey):
    """A key of the account."""

    rate_limit: str | None = Field(description="New tasks, COUNT/SECONDS; null: the server's limit.")
    max_running: int | None = Field(description="Unfinished tasks at once; null: the server's limit.")
    created_at: datetime


class NewKey(Key):
    """A new key with its secret, which is not shown again."""

    key: str


class Keys(BaseModel):
    """Keys in use, oldest first."""

    keys: list[Key]


class DayUsage(BaseModel):
    """One day, in UTC. ``separations`` are those that are still kept; ``seconds`` is the length of their songs."""

    day: date
    credits: float = Field(description="Charged that day, less what was given back that day.")
    separations: int
    seconds: float


class Usage(BaseModel):
    """Days, today last."""

    days: list[DayUsage]


class Storage(BaseModel):
    """Storage that an account uses, each file counted once; ``limit_bytes`` is null without a quota."""

    used_bytes: int
    limit_bytes: int | None


class Account(BaseModel):
    """The account that a key belongs to."""

    name: str
    key: UsedKey
    storage: Storage
    retention_days: float
    max_upload_bytes: int = Field(description="Largest file that the server takes.")
    server_url: str = Field(description="Base URL of this server for clients.")


class Track(BaseModel):
    """A song. ``task_id`` and ``audio_id`` are its ids on the APIs of the vendors."""

    id: Annotated[str, ID]
    task_id: str
    audio_id: str
    title: str
    origin: Literal["upload", "url", "vendor"]
    seconds: float | None
    size_bytes: int | None
    media_type: str | None
    file_name: str | None
    url: str | None = Field(description="URL of its audio.")
    created_at: datetime
    expires_at: datetime


class Stem(BaseModel):
    """One stem; levels are in dB of full scale, null for silence."""

    id: Annotated[str, ID]
    name: str
    url: str
    format: str
    size_bytes: int
    seconds: float
    present: bool
    presence: float
    peak_dbfs: float | None
    rms_dbfs: float | None


class Failure(BaseModel):
    """Why a separation failed. 451: the song could not be fetched; 500 and above: it could not be separated."""

    code: int
    message: str


class Separation(BaseModel):
    """A separation. ``mode`` is the requested stems: ``two``, ``twelve`` or names."""

    id: Annotated[str, ID]
    state: State
    stage: str | None
    progress: float = Field(ge=0, le=1)
    cancelling: bool
    track_id: str
    title: str | None = Field(description="Title of the track; null when the track is deleted.")
    mode: str
    playing: list[str] | None = Field(description="The stems that play, as the request named them; null: not known.")
    plan: str
    format: str
    bit_depth: int | None
    bitrate_kbps: int | None
    callback_url: str | None
    credits: float
    seconds: float | None
    sample_rate: int | None
    channels: int | None
    residual_db: float | None = Field(
        description="Level of the sum of the stems minus the song; -200: zero; null: lossy."
    )
    gain_db: float | None
    models: list[str]
    notes: list[str]
    stems: list[Stem]
    zip: str | None = Field(description="All stems in one file; null until they exist.")
    error: Failure | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    expires_at: datetime


class SpectrogramLevel(BaseModel):
    """One scale of a spectrogram: its columns, cut into tiles of `tile_columns`; the last one may be narrower."""

    samples_per_column: int
    columns: int
    tiles: int


class Spectrogram(BaseModel):
    """How the tiles of a spectrogram lie: level 0 is the finest; each level above has half as many columns."""

    sample_rate: int
    samples: int
    tile_columns: int
    rows: int = Field(description="Height of a tile; equal steps on the mel scale, from 0 Hz at the bottom.")
    highest_hz: float = Field(description="Frequency at the top.")
    floor_db: float = Field(description="Level of the darkest colour, in dB of a sine at full scale.")
    ceiling_db: float = Field(description="Level of the brightest colour.")
    levels: list[SpectrogramLevel]


class TrackPage(BaseModel):
    """Tracks, newest first."""

    tracks: list[Track]
    next: str | None = Field(description="`after` of the next page; null on the last.")


class SeparationPage(BaseModel):
    """Separations, newest first."""

    separations: list[Separation]
    next: str | None = Field(description="`after` of the next page; null on the last.")


class Delivery(BaseModel):
    """One attempt to deliver a callback."""

    id: Annotated[str, ID]
    attempt: int
    state: str = Field(examples=["pending", "delivered", "failed", "blocked", "dead"])
    due_at: datetime
    attempted_at: datetime | None
    status_code: int | None
    error: str | None


class Deliveries(BaseModel):
    """All attempts, oldest first."""

    deliveries: list[Delivery]


class AccountDelivery(Delivery):
    """An attempt with its task, which may be of any of the APIs."""

    separation_id: str = Field(json_schema_extra=UUID)
    callback_url: str


class DeliveryPage(BaseModel):
    """Attempts of all tasks, newest first."""

    deliveries: list[AccountDelivery]
    next: str | None = Field(description="`after` of the next page; null on the last.")


class Credits(BaseModel):
    """Credits of the account; null if it is not metered. ``price`` is the price of one separation."""

    metered: bool
    credits: float | None
    price: float


class PlanModel(BaseModel):
    """A model of a plan, and the licence of its weights."""

    name: str
    licence: str


class Plan(BaseModel):
    """A plan, the stems that it separates, and its models."""

    name: str
    title: str
    stems: list[str]
    models: list[PlanModel]
    song_minutes: float | None = Field(
        description="Estimated minutes for a song of three minutes on this machine, beside the network in the wheel, "
        "which takes seconds; null where workers run elsewhere, or nothing is known."
    )
    is_bound: bool = Field(description="The machine's speed was not measured yet: it takes less, most likely.")


class MissingPlan(BaseModel):
    """A plan whose models are not all on this server. ``can_run``: its memory and its runtime would be enough."""

    name: str
    title: str
    missing: list[PlanModel]
    download_bytes: int
    song_minutes: float | None
    is_bound: bool
    can_run: bool


class Plans(BaseModel):
    """The values of ``plan``, and plans that need a download first."""

    plans: list[Plan]
    not_installed: list[MissingPlan]


class Event(BaseModel):
    """The body of a callback, signed as in Standard Webhooks."""

    type: Literal["separation.succeeded", "separation.failed", "separation.cancelled"]
    timestamp: datetime
    data: Separation


_RequestT = TypeVar("_RequestT", bound=ApiRequest)


def parse_request(model: type[_RequestT], body: dict[str, Any]) -> _RequestT:
    """Validates a body against a model.

    Raises:
        InvalidFields: with a sentence for each field that is wrong.
    """
    try:
        return model.model_validate(body)
    except ValidationError as error:
        known = ", ".join(model.model_fields)
        fields: dict[str, str] = {}
        for one in error.errors():
            name = str(one["loc"][0]) if one["loc"] else "body"
            unknown = one["type"] == "extra_forbidden"
            fields.setdefault(name, f"Unknown field; the fields are: {known}." if unknown else f"{one['msg']}.")
        raise InvalidFields(list(fields.items())) from error
