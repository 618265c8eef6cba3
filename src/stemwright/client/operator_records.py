"""Objects of the API that show the whole server to an operator. Unknown fields are ignored."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from stemwright.client.records import Failure, State, read_record


@dataclass(frozen=True)
class Workers:
    """Workers of the server; ``ready`` is None where workers run elsewhere."""

    ready: int | None
    configured: int


@dataclass(frozen=True)
class ServerStorage:
    """All files in the store, and the room that is left."""

    stored_bytes: int
    free_bytes: int


@dataclass(frozen=True)
class Overview:
    """The server at a glance; ``tasks`` has the number of tasks in each state."""

    version: str
    maintenance: bool
    waiting: int
    running: int
    tasks: dict[str, int]
    workers: Workers
    storage: ServerStorage
    accounts: int
    tracks: int


@dataclass(frozen=True)
class OperatorTask:
    """A task of any account and API."""

    id: str
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


@dataclass(frozen=True)
class ThroughputStep:
    """What was finished in some hours; ``real_time_factor`` is seconds of song for a second of work."""

    begins_at: datetime
    succeeded: int
    failed: int
    song_seconds: float
    work_seconds: float
    real_time_factor: float | None


@dataclass(frozen=True)
class Setting:
    """A setting of the server; secrets read ``set``."""

    variable: str
    value: str | None
    is_default: bool
    description: str


@dataclass(frozen=True)
class ModelDownload:
    """A download that is not complete."""

    state: Literal["waiting", "downloading", "failed"]
    done_bytes: int
    error: str | None


@dataclass(frozen=True)
class Model:
    """A model that the server knows."""

    name: str
    title: str
    stems: tuple[str, ...]
    licence: str
    licence_note: str
    permissive: bool
    size_bytes: int
    in_wheel: bool
    installed: bool
    can_run: bool
    download: ModelDownload | None


def read_overview(facts: dict[str, Any]) -> Overview:
    """The overview as the server writes it."""
    parts = {
        "workers": read_record(Workers, facts["workers"]),
        "storage": read_record(ServerStorage, facts["storage"]),
    }
    return read_record(Overview, {**facts, **parts})


def read_operator_task(facts: dict[str, Any]) -> OperatorTask:
    """A task as the server writes it."""
    error = facts["error"]
    return read_record(OperatorTask, {**facts, "error": None if error is None else read_record(Failure, error)})


def read_model(facts: dict[str, Any]) -> Model:
    """A model as the server writes it."""
    found = facts["download"]
    return read_record(Model, {**facts, "download": None if found is None else read_record(ModelDownload, found)})
