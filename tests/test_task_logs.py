"""The id of a task is in the lines of every process that has to do with it: a real server, its worker and the rest."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.cli.conftest import write_song
from tests.drills.receiver import Receiver
from tests.serving import Serving, workers_of
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("logs")
    with Serving(folder / "data", cache_dir=str(folder / "cache")) as serving:
        serving.read_key()
        yield serving


def lines_of(serving: Serving) -> list[dict[str, Any]]:
    """The log, a JSON object a line; the last line may be half written."""
    lines = serving.log.split("\n")[:-1]
    assert all(line.startswith("{") for line in lines), serving.log
    return [json.loads(line) for line in lines]


def submit(client: httpx.Client, song: Path, **order: object) -> str:
    """Orders a separation; gives its id as 32 hex digits."""
    track = client.post("/v1/tracks", files={"file": song.read_bytes()}).json()
    made = client.post("/v1/separations", json={"track_id": track["id"], "format": "wav", **order}).json()
    return str(made["id"]).replace("-", "")


def test_every_process_names_the_task(serving: Serving, tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.wav", seconds=1.0)
    with Receiver() as receiver, serving.client() as client:
        task = submit(client, song, stems="two", callback_url=receiver.url)
        wait_until(lambda: receiver.arrived[task], "the callback")
        for file in (serving.data / "files").rglob("*"):
            if file.is_file():
                file.write_bytes(b"no sound")
        assert client.get(f"/v1/separations/{task}/stems/vocals/segments/0").status_code == 503

    def said() -> set[tuple[str, str]]:
        return {(line["role"], line["event"]) for line in lines_of(serving) if line.get("task") == task}

    expected = {
        ("server", "task accepted"),
        ("worker local/0", "task begun"),
        ("worker local/0", "task succeeded"),
        ("server", "callback"),
        ("preview", "a stored file could not be read for the player"),
    }
    wait_until(lambda: said() >= expected, "all lines")
    assert all({"timestamp", "level"} <= line.keys() for line in lines_of(serving))
    assert serving.key is not None and serving.key not in serving.log


def test_the_supervisor_names_the_task_of_a_worker_that_died(serving: Serving, tmp_path: Path) -> None:
    song = write_song(tmp_path / "song.wav", seconds=60.0)
    with serving.client() as client:
        task = submit(client, song, stems="twelve")
        wait_until(lambda: client.get(f"/v1/separations/{task}").json()["state"] == "running", "the task runs")
        for worker in workers_of(psutil.Process(serving.process.pid)):
            worker.send_signal(signal.SIGKILL)

        def said() -> bool:
            lines = lines_of(serving)
            return any(line["event"].startswith("task returned") and line["task"] == task for line in lines)

        wait_until(said, "the line of the supervisor")
        client.post(f"/v1/separations/{task}/cancel")
