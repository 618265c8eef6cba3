"""Requests of an operator about the whole server."""

from __future__ import annotations

from typing import get_args
from urllib.parse import quote

from stemwright import arguments
from stemwright.client.calls import Call, page_query
from stemwright.client.operator_records import (
    Model,
    OperatorTask,
    Overview,
    Setting,
    ThroughputStep,
    read_model,
    read_operator_task,
    read_overview,
)
from stemwright.client.records import Page, State, read_record

MAX_HOURS = 744


def overview() -> Call[Overview]:
    """The server at a glance."""
    return Call("GET", "/v1/operator", read_overview)


def tasks(after: str | None, state: str | None) -> Call[Page[OperatorTask]]:
    """A page of tasks of all accounts."""
    query = page_query(after)
    if state is not None:
        query["state"] = arguments.choice(state, "state", get_args(State))
    return Call(
        "GET",
        "/v1/operator/tasks",
        lambda reply: Page(tuple(map(read_operator_task, reply["tasks"])), reply["next"]),
        query=query,
    )


def throughput(hours: int, step_hours: int) -> Call[list[ThroughputStep]]:
    """What was finished, step by step."""
    query = {
        "hours": str(arguments.whole(hours, "hours", "hours", lowest=1, highest=MAX_HOURS)),
        "step_hours": str(arguments.whole(step_hours, "step_hours", "hours", lowest=1, highest=MAX_HOURS)),
    }
    return Call(
        "GET",
        "/v1/operator/throughput",
        lambda reply: [read_record(ThroughputStep, step) for step in reply["steps"]],
        query=query,
    )


def set_maintenance(*, on: bool) -> Call[bool]:
    """Maintenance on or off."""
    return Call("PUT", "/v1/operator/maintenance", lambda reply: bool(reply["on"]), {"on": on})


def settings() -> Call[list[Setting]]:
    """The settings of the server."""
    return Call(
        "GET", "/v1/operator/settings", lambda reply: [read_record(Setting, setting) for setting in reply["settings"]]
    )


def models() -> Call[list[Model]]:
    """The models that the server knows."""
    return Call("GET", "/v1/operator/models", lambda reply: [read_model(model) for model in reply["models"]])


def download_model(name: str) -> Call[Model]:
    """Begins a download."""
    path = f"/v1/operator/models/{quote(arguments.text(name, 'name'), safe='')}/download"
    return Call("POST", path, read_model)
