"""A task in the logs and traces of every process that has to do with it: a real server, its worker and the rest."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from stemwright.errors import UsageError
from stemwright.settings import read_settings
from stemwright.tracing import configure_tracing, current_context, current_trace_id, span
from tests.cli.conftest import write_song
from tests.drills.receiver import Receiver
from tests.otlp_receiver import OtlpReceiver, ReceivedSpan
from tests.serving import Serving, workers_of
from tests.waiting import wait_until


@pytest.fixture(scope="module")
def collector() -> Iterator[OtlpReceiver]:
    with OtlpReceiver() as collector:
        yield collector


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory, collector: OtlpReceiver) -> Iterator[Serving]:
    folder = tmp_path_factory.mktemp("logs")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("OTEL_BSP_SCHEDULE_DELAY", "100")
        with Serving(folder / "data", cache_dir=str(folder / "cache"), otlp_endpoint=collector.url) as serving:
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


def test_every_process_names_the_task(serving: Serving, collector: OtlpReceiver, tmp_path: Path) -> None:
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

    def spans() -> dict[str, ReceivedSpan]:
        mine = {span.trace for span in collector.spans if span.attributes.get("stemwright.task") == task}
        return {span.name: span for span in collector.spans if span.trace in mine}

    wait_until(lambda: {"task", "callback", "POST /v1/separations"} <= spans().keys(), "all spans")
    found = spans()
    request, work, callback = found["POST /v1/separations"], found["task"], found["callback"]
    assert request.service == "stemwright-server" == callback.service and work.service == "stemwright-worker"
    assert request.pid == serving.process.pid != work.pid
    assert work.parent == callback.parent == request.id
    assert {found[name].parent for name in ("fetch", "separate", "store")} == {work.id}
    assert {span.trace for span in found.values()} == {request.trace}, "one trace"
    traced = {line["role"] for line in lines_of(serving) if line.get("trace") == request.trace}
    assert traced == {"server", "worker local/0"}


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


def test_without_the_extra_an_endpoint_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http.trace_exporter", None)
    with pytest.raises(UsageError, match=r"pip install 'stemwright\[otel\]'"):
        configure_tracing(read_settings(otlp_endpoint="http://127.0.0.1:9"), "server")


def test_without_an_endpoint_there_are_no_traces() -> None:
    configure_tracing(read_settings(), "server")
    with span("nothing"):
        assert current_context() is None and current_trace_id() is None
