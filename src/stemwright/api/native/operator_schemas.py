"""Requests and responses of ``/v1/operator``, for OpenAPI and our clients."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from stemwright.api.native.schemas import ID, ApiRequest, Failure, State


class Counts(BaseModel):
    """Tasks that are kept, by state."""

    pending: int
    running: int
    succeeded: int
    failed: int
    cancelled: int


class Workers(BaseModel):
    """Workers of this server; ``ready`` is null where workers run elsewhere."""

    ready: int | None
    configured: int


class ServerStorage(BaseModel):
    """All files in the store, and the room that is left where the data folder is."""

    stored_bytes: int
    free_bytes: int


class Overview(BaseModel):
    """The server at a glance."""

    version: str
    maintenance: bool
    waiting: int = Field(description="Tasks that no worker has begun.")
    running: int
    tasks: Counts
    workers: Workers
    storage: ServerStorage
    accounts: int
    tracks: int


class OperatorTask(BaseModel):
    """A task of any account. ``kind`` is the type or mode as the client named it, ``wav`` for a conversion."""

    id: Annotated[str, ID]
    account: str
    api: Literal["kie", "crun", "native"]
    kind: str
    state: State
    stage: str | None
    progress: float
    title: str | None
    plan: str
    seconds: float | None
    error: Failure | None
    created_at: datetime
    started_at: datetime | None
    ended_at: datetime | None


class OperatorTaskPage(BaseModel):
    """Tasks, newest first."""

    tasks: list[OperatorTask]
    next: str | None = Field(description="`after` of the next page; null on the last.")


class ThroughputStep(BaseModel):
    """What was finished in some hours. Tasks whose stems were there already count, but not in seconds."""

    begins_at: datetime
    succeeded: int
    failed: int
    song_seconds: float
    work_seconds: float
    real_time_factor: float | None = Field(description="Seconds of song for a second of work; null without work.")


class Throughput(BaseModel):
    """Steps, the current one last. There are at most 100; ``step_hours`` is longer than asked for if need be."""

    step_hours: int
    steps: list[ThroughputStep]


class MaintenanceRequest(ApiRequest):
    """Whether new tasks are refused."""

    on: bool


class Maintenance(BaseModel):
    """Whether new tasks are refused."""

    on: bool


class Setting(BaseModel):
    """A setting. Secrets read ``set``, addresses have no user or password."""

    variable: str
    value: str | None
    is_default: bool
    description: str


class Settings(BaseModel):
    """All settings."""

    settings: list[Setting]


class Download(BaseModel):
    """A download that is not complete."""

    state: Literal["waiting", "downloading", "failed"]
    done_bytes: int
    error: str | None


class Model(BaseModel):
    """A model: ``installed`` when its files are on disk, ``can_run`` when what it needs besides is installed."""

    model_config = ConfigDict(protected_namespaces=())

    name: str
    title: str
    stems: list[str]
    licence: str = Field(description="Licence of the weights: an SPDX identifier, or `unstated`.")
    licence_note: str
    permissive: bool = Field(description="Whether the licence allows any use.")
    size_bytes: int
    in_wheel: bool
    installed: bool
    can_run: bool
    download: Download | None


class Models(BaseModel):
    """All models."""

    models: list[Model]
