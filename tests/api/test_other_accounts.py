"""Ids of another account answer as ids that nobody has: the same words, the same work in the database."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import httpx
import pytest
import sqlalchemy

from stemwright.database import tables
from stemwright.service.ids import dashed, new_id
from tests.api.conftest import Server
from tests.waiting import wait_until


@dataclass(frozen=True)
class Things:
    """Ids of a song, a finished task and one of its stems."""

    track: str
    song_task: str
    task: str
    stem: str

    @classmethod
    def nobodys(cls) -> Things:
        return cls(new_id(), new_id(), new_id(), new_id())


@pytest.fixture(scope="module")
def alices(shared: Server) -> Things:
    track = shared.add_track("secret")
    made = shared.client.post("/v1/separations", json={"track_id": track.id}).json()["id"].replace("-", "")
    task = shared.succeed(made)
    with shared.service.database.write() as session:
        session.get_one(tables.Task, task.id).facts = {"sample_rate": 44_100, "samples": 13_230}
    rendering = f"/v1/separations/{task.id}/rendering?speed=0.8"
    assert shared.client.put(rendering).status_code == 202
    wait_until(lambda: shared.client.get(rendering).json()["state"] == "succeeded")
    return Things(track.id, track.task_id, task.id, task.stems[0].id)


PREVIEWS = ("peaks", "segments/0", "spectrogram", "spectrogram/0/0")


def requests(ids: Things) -> list[tuple[str, str, dict[str, object] | None]]:
    """Everything that takes an id, on each face."""
    generate, create = "/api/v1/vocal-removal/generate", "/api/v1/client/job/CreateTask"
    separation = f"/v1/separations/{ids.task}"
    crun: dict[str, object] = {
        "model": "suno/vocal-separation",
        "input": {"task_id": dashed(ids.song_task), "suno_id": dashed(ids.track)},
    }
    return [
        ("GET", f"/v1/tracks/{ids.track}", None),
        ("DELETE", f"/v1/tracks/{ids.track}", None),
        ("GET", f"/v1/tracks?after={ids.track}", None),
        ("GET", separation, None),
        ("DELETE", separation, None),
        ("GET", f"/v1/separations?after={ids.task}", None),
        ("GET", f"{separation}/events", None),
        ("GET", f"{separation}/stems.zip", None),
        ("GET", f"{separation}/deliveries", None),
        ("GET", f"{separation}/mixdown", None),
        ("GET", f"{separation}/mixdown?speed=0.8", None),
        ("GET", f"{separation}/renderings", None),
        *((method, f"{separation}/rendering?speed=0.8", None) for method in ("PUT", "GET", "DELETE")),
        *(("GET", f"{separation}/{part}/{what}", None) for part in ("stems/vocals", "mix") for what in PREVIEWS),
        *(("GET", f"{separation}/stems/vocals/taken{tile}", None) for tile in ("", "/0/0")),
        ("POST", f"{separation}/deliveries/replay", None),
        ("POST", f"{separation}/cancel", None),
        ("POST", "/v1/separations", {"track_id": ids.track}),
        ("GET", f"/api/v1/vocal-removal/record-info?taskId={ids.task}", None),
        ("GET", f"/api/v1/generate/record-info?taskId={ids.song_task}", None),
        ("POST", generate, {"taskId": ids.song_task, "audioId": ids.track, "callBackUrl": "https://example.org/hook"}),
        ("POST", generate, {"taskId": ids.task, "audioId": ids.stem, "callBackUrl": "https://example.org/hook"}),
        ("GET", f"/api/v1/client/job/TaskInfo?task_id={ids.task}", None),
        ("GET", f"/api/v1/client/job/TaskInfo?task_id={ids.song_task}", None),
        ("POST", create, crun),
    ]


@pytest.mark.parametrize("place", range(len(requests(Things.nobodys()))))
def test_another_accounts_ids_are_as_unknown_ones(shared: Server, alices: Things, place: int) -> None:
    with shared.another() as bob:
        answers = [observed(shared, bob, ids, place) for ids in (Things.nobodys(), alices)]
    assert answers[0] == answers[1]


def test_they_are_no_such_ids_to_their_owner(shared: Server, alices: Things) -> None:
    for method, path, _ in requests(alices):
        if method == "GET":
            reply = shared.client.get(path)
            assert reply.status_code == 200 and b'"data":null' not in reply.content, path


def observed(server: Server, client: httpx.Client, ids: Things, place: int) -> tuple[int, str, list[str]]:
    """Status, body and statements of a request, without the ids themselves."""
    method, path, body = requests(ids)[place]
    with statements(server) as seen:
        reply = client.request(method, path, json=body)
    text = reply.text
    for spelling in (ids.track, ids.song_task, ids.task, ids.stem):
        text = text.replace(spelling, "ID").replace(dashed(spelling), "ID")
    return reply.status_code, text, seen


@contextlib.contextmanager
def statements(server: Server) -> Iterator[list[str]]:
    """The statements that the server runs meanwhile."""
    seen: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        if "FROM workers" not in statement:  # read every few seconds, whoever asks
            seen.append(statement)

    sqlalchemy.event.listen(server.service.database.engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        sqlalchemy.event.remove(server.service.database.engine, "before_cursor_execute", note)
