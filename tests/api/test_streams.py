"""Streams of events: many of them cost no more looks at the database than one, and there are only so many."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import pytest

from stemwright.database import tables
from stemwright.service.task import Task
from tests.api.conftest import OpenServer, Server
from tests.api.native import events_of, hex_id, order, problem
from tests.waiting import wait_until

Events = Iterator[tuple[str, dict[str, Any], str]]


def follow(stack: ExitStack, client: httpx.Client, separation: dict[str, Any]) -> Events:
    """Opens a stream, which lasts as long as the stack and what is returned; its first event has come."""
    stream = stack.enter_context(client.stream("GET", f"/v1/separations/{separation['id']}/events"))
    assert stream.status_code == 200, stream.read()
    events = events_of(stream)
    next(events)
    return events


def n_streams(server: Server) -> int:
    """How many are open, as ``/metrics`` says."""
    found = re.search(r"^stemwright_event_streams (\S+)$", server.client.get("/metrics").text, re.MULTILINE)
    assert found is not None
    return int(float(found[1]))


def test_all_streams_of_all_tasks_share_one_look(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[list[str]] = []
    loaded: list[str] = []
    marks, load = server.service.tasks.marks, server.service.tasks.any

    def count_marks(task_ids: Collection[str]) -> dict[str, str]:
        asked.append(sorted(task_ids))
        return marks(task_ids)

    def count_loads(task_id: str) -> Task | None:
        loaded.append(task_id)
        return load(task_id)

    one, other = order(server), order(server)
    with ExitStack() as stack:
        first = [follow(stack, server.client, one) for _ in range(30)]
        second = [follow(stack, server.client, other) for _ in range(30)]
        assert n_streams(server) == 60
        lease = server.hold(hex_id(one))
        assert {next(events)[1]["state"] for events in first} == {"running"}
        monkeypatch.setattr(server.service.tasks, "marks", count_marks)
        monkeypatch.setattr(server.service.tasks, "any", count_loads)
        server.service.worker_tasks.progress(hex_id(one), lease.token, "separating", 0.5)
        assert {next(events)[1]["progress"] for events in first} == {0.5}
        monkeypatch.undo()
        assert loaded == [hex_id(one)], "it is loaded once for all its streams"
        assert asked and all(ids == sorted([hex_id(one), hex_id(other)]) for ids in asked)
        server.succeed(hex_id(one), lease=lease)
        assert [[name for name, _, _ in events] for events in first] == [["end"]] * 30
        wait_until(lambda: n_streams(server) == 30)
        server.service.tasks.cancel(server.caller.account_id, hex_id(other))
        assert [[facts["state"] for _, facts, _ in events] for events in second] == [["cancelled"]] * 30
    wait_until(lambda: n_streams(server) == 0)


def test_an_account_has_only_so_many(open_server: OpenServer) -> None:
    server = open_server(account_event_streams=2, event_streams=3)
    separation = order(server)
    with ExitStack() as stack, server.another() as other:
        path = f"/v1/separations/{separation['id']}/events"
        with ExitStack() as inner:
            held = [follow(stack, server.client, separation), follow(inner, server.client, separation)]
            refused = server.client.get(path)
            problem(refused, 429, "too-many-streams")
            assert refused.headers["retry-after"]
            assert server.client.get(f"/v1/separations/{separation['id']}").status_code == 200, "polls go on"
        wait_until(lambda: n_streams(server) == 1)
        held.append(follow(stack, server.client, separation))  # one that is closed makes room
        theirs = theirs_of(other)
        held.append(follow(stack, other, theirs))
        refused = other.get(f"/v1/separations/{theirs['id']}/events")
        problem(refused, 503, "streams-full")
        assert refused.headers["retry-after"]


def test_a_stream_ends_with_its_key_and_no_other_does(server: Server) -> None:
    separation = order(server)
    with ExitStack() as stack, server.another("watcher", account="alice", scopes=["read"]) as watcher:
        goes_on = follow(stack, server.client, separation)
        ends = [follow(stack, watcher, separation) for _ in range(3)]
        server.service.keys.revoke("watcher")
        assert [list(events) for events in ends] == [[], [], []]
        wait_until(lambda: n_streams(server) == 1)
        problem(watcher.get(f"/v1/separations/{separation['id']}/events"), 401, "not-authenticated")
        server.succeed(hex_id(separation))
        assert [name for name, _, _ in goes_on][-1] == "end"


def test_a_stream_ends_with_its_task(server: Server) -> None:
    separation = order(server)
    with ExitStack() as stack:
        events = follow(stack, server.client, separation)
        with server.service.database.write() as session:
            server.service.queue.remove(session, hex_id(separation))
            session.delete(session.get_one(tables.Task, hex_id(separation)))
        assert list(events) == []


def test_streams_outlive_a_database_that_is_busy(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    separation = order(server)
    failed: list[None] = []
    marks: Callable[[Collection[str]], dict[str, str]] = server.service.tasks.marks

    def fail_at_first(task_ids: Collection[str]) -> dict[str, str]:
        if len(failed) < 2:
            failed.append(None)
            raise OSError("database is locked")
        return marks(task_ids)

    with ExitStack() as stack:
        events = follow(stack, server.client, separation)
        monkeypatch.setattr(server.service.tasks, "marks", fail_at_first)
        wait_until(lambda: len(failed) == 2)
        server.succeed(hex_id(separation))
        assert [name for name, _, _ in events][-1] == "end"


def test_clients_that_go_away_leave_nothing_behind(server: Server) -> None:
    separation = order(server)
    for _ in range(5):
        with ExitStack() as stack:
            for _ in range(10):
                stack.enter_context(server.client.stream("GET", f"/v1/separations/{separation['id']}/events"))
    wait_until(lambda: n_streams(server) == 0)


def theirs_of(client: httpx.Client) -> dict[str, Any]:
    """A separation of the account of another client."""
    made = client.post("/v1/separations", json={"url": "https://example.com/song.mp3"})
    assert made.status_code == 201, made.text
    return dict(made.json())
