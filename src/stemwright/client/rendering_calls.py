"""Requests for the stems of a separation at another speed or in another key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from stemwright import arguments
from stemwright.client.calls import Call, id_of
from stemwright.client.records import Separation, read_record


@dataclass(frozen=True)
class Rendering:
    """The stems at another speed or in another key, or how far they are; ``error`` says why they failed."""

    speed: float
    semitones: float
    state: Literal["running", "succeeded", "failed"]
    progress: float
    sample_rate: int
    samples: int
    size_bytes: int
    error: str | None
    created_at: datetime


def speed_and_key(speed: float, semitones: float) -> dict[str, str]:
    """The query that names a speed and a key, empty for the song's own; raises UsageError for what is no number."""
    speed = arguments.number(speed, "speed", "as a factor")
    semitones = arguments.number(semitones, "semitones", "in semitones")
    return {} if (speed, semitones) == (1, 0) else {"speed": f"{speed:.10g}", "semitones": f"{semitones:.10g}"}


def render(separation: Separation | UUID | str, speed: float, semitones: float) -> Call[Rendering]:
    """Makes it, unless it is there or being made."""
    return Call("PUT", _path(separation), _read, query=speed_and_key(speed, semitones))


def rendering(separation: Separation | UUID | str, speed: float, semitones: float) -> Call[Rendering]:
    """How far it is."""
    return Call("GET", _path(separation), _read, query=speed_and_key(speed, semitones))


def renderings(separation: Separation | UUID | str) -> Call[list[Rendering]]:
    """All of a separation."""
    return Call("GET", f"{_path(separation)}s", lambda facts: [_read(one) for one in facts["renderings"]])


def delete_rendering(separation: Separation | UUID | str, speed: float, semitones: float) -> Call[None]:
    """Deletes or stops it."""
    return Call("DELETE", _path(separation), lambda _: None, query=speed_and_key(speed, semitones), repeatable=False)


def _path(separation: Separation | UUID | str) -> str:
    return f"/v1/separations/{id_of(separation)}/rendering"


def _read(facts: dict[str, Any]) -> Rendering:
    return read_record(Rendering, facts)
