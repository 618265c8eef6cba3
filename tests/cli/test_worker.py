"""``stemwright worker`` as processes on machines of their own: data folders that share a database and the stored files."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import httpx
import psutil
import pytest

from stemwright.database import tables
from stemwright.database.engine import Database
from stemwright.service import fleet
from stemwright.service.keys import Caller
from stemwright.service.peer_check import peer_problems
from stemwright.service.service import Service
from stemwright.service.task import Task
from stemwright.settings import read_settings
from tests.cli.conftest import one_error, run
from tests.service.test_separation_handler import ORDER, song
from tests.waiting import PATIENCE_S, wait_until

SECONDS = 60.0


class WorkerProcess:
    """``stemwright worker``, with its log beside its data folder."""

    def __init__(self, data: Path, files: Path, url: str, *arguments: str) -> None:
        data.mkdir()
        (data / "files").symlink_to(files)
        self._log = data.with_suffix(".log")
        settings = {"DATABASE_URL": url, "COPY_WORK_S": "0", "LEASE_S": "4", "METRICS": "open"}
        with self._log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "stemwright", "worker", "--plans", "fast", "--data", str(data), *arguments],
                env=os.environ | {f"STEMWRIGHT_{name}": value for name, value in settings.items()},
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )

    @property
    def log(self) -> str:
        return self._log.read_text()

    def said(self, pattern: str) -> str:
        """What the next line of its output says."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        found = re.search(pattern, line)
        assert found is not None, f"it said {line!r}, and {self.log}"
        return found[1]

    def kill(self) -> None:
        """As a machine dies: supervisor and worker at once."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def stop(self) -> None:
        """As a service manager stops it."""
        self.process.terminate()
        self.process.communicate(timeout=PATIENCE_S)
        assert self.process.returncode == 0


@pytest.fixture
def service(tmp_path: Path, postgresql_url: str) -> Iterator[Service]:
    service = Service.open(read_settings(data=tmp_path / "api", database_url=postgresql_url, rate_limit="0"))
    yield service
    service.close()


@pytest.fixture
def caller(service: Service) -> Caller:
    return service.keys.authenticate(service.keys.create("alice").key)


def order(service: Service, caller: Caller, content: bytes) -> Task:
    with service.store.writer() as writer:
        writer.write(content)
        blob = writer.commit()
    track = service.tracks.add_stored(caller.account_id, blob, title="song")
    return service.tasks.submit(caller, replace(ORDER, track_id=track.id))


def ended(service: Service, task: Task) -> dict[str, str]:
    """The digests of the stems, once there are some."""

    def has_ended() -> bool:
        now = service.tasks.any(task.id)
        assert now is not None and now.state in ("pending", "running", "succeeded"), now and now.error_message
        return now.has_ended

    wait_until(has_ended, "the task ends")
    now = service.tasks.any(task.id)
    assert now is not None
    return {stem.name: stem.blob for stem in now.stems}


def copied_parts(service: Service) -> int:
    with service.database.read() as session:
        return session.query(tables.WorkingPart).filter(tables.WorkingPart.path.endswith("outputs")).count()


@pytest.mark.long
@pytest.mark.parametrize(("leaves", "attempt"), [(WorkerProcess.kill, 2), (WorkerProcess.stop, 1)], ids=["-9", "-15"])
def test_a_worker_that_is_killed_or_stopped_leaves_its_task_to_another_machine(
    tmp_path: Path,
    service: Service,
    caller: Caller,
    postgresql_url: str,
    monkeypatch: pytest.MonkeyPatch,
    leaves: Callable[[WorkerProcess], None],
    attempt: int,
) -> None:
    content, files = song(tmp_path / "song.wav", SECONDS), service.settings.data / "files"
    first = WorkerProcess(tmp_path / "first", files, postgresql_url)
    task = order(service, caller, content)
    wait_until(lambda: copied_parts(service) >= 3 and first.process.poll() is None, "some chunks are in the store")
    leaves(first)
    assert not service.tasks.any(task.id).has_ended  # type: ignore[union-attr]

    second = WorkerProcess(tmp_path / "second", files, postgresql_url, "--health-port", "0")
    address = second.said(r"Health: (http://\S+)/readyz").replace("0.0.0.0", "127.0.0.1")
    stems = ended(service, task)
    assert "working files fetched" in second.log and f'"attempt": {attempt}' in second.log
    other = service.keys.authenticate(service.keys.create("bob").key)
    assert ended(service, order(service, other, content)) == stems  # from its start to its end on one machine

    with httpx.Client(base_url=address, trust_env=False, timeout=PATIENCE_S) as client:
        assert client.get("/livez").status_code == 200
        ready = client.get("/readyz")
        assert (ready.status_code, ready.json()["workers"]) == (200, "ok"), ready.text
        assert "stemwright_workers_ready 1.0" in client.get("/metrics").text
    monkeypatch.setenv("STEMWRIGHT_DATABASE_URL", postgresql_url)
    ((worker,),) = cast("Any", run("workers", "--json").objects)
    assert (worker["plans"], worker["device"], worker["task_id"]) == (["fast"], "auto", None)
    assert worker["name"] in run("workers").out

    workers = psutil.Process(second.process.pid).children()
    second.process.terminate()
    second.process.communicate()
    assert second.process.returncode == 0 and not any(each.is_running() for each in workers)
    assert "No worker runs." in run("workers").out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), ["set STEMWRIGHT_DATABASE_URL to that of the API server"]),
        (("--queues", "mixing"), ["write separation, conversion, or both with a comma"]),
        (("--device", "gpu"), ["STEMWRIGHT_DEVICE cannot be used"]),
    ],
)
def test_what_makes_no_sense_is_one_sentence(arguments: tuple[str, ...], words: list[str]) -> None:
    refused = run("worker", *arguments)
    assert refused.code == 2
    one_error(refused, words=words)


def test_a_plan_that_is_not_installed_is_refused_with_the_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMWRIGHT_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    refused = run("worker", "--plans", "best")
    assert refused.code == 4
    one_error(refused, words=["download them with `stemwright models download best`"])


def test_a_plan_that_takes_more_memory_than_a_task_may_is_refused_with_the_remedy(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("STEMWRIGHT_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    monkeypatch.setenv("STEMWRIGHT_WORKER_MEMORY_MB", "1000")
    monkeypatch.setattr("stemwright.models.weight_store.is_available", lambda _: True)
    name, needed_bytes = max(fleet.installed_plans("cpu").items(), key=lambda plan: plan[1])
    refused = run("worker", "--plans", name, "--device", "cpu")
    assert refused.code == 2
    needed_mb = needed_bytes / 1e6
    one_error(refused, words=[f"'{name}' takes {needed_mb:.0f} MB", "may take 1000: raise STEMWRIGHT_WORKER_MEMORY_MB"])


def test_a_database_that_cannot_be_reached_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STEMWRIGHT_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/nothing")
    refused = run("worker", "--plans", "fast")
    assert refused.code == 5
    one_error(refused, words=["nothing listens there"])


def test_a_worker_without_the_servers_store_is_refused_with_the_remedy(
    postgresql_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    servers = read_settings(data=tmp_path / "api", database_url=postgresql_url, storage_url="s3://stems/of-all")
    database = Database.open(servers)
    peer_problems(database, servers)
    database.close()
    monkeypatch.setenv("STEMWRIGHT_DATABASE_URL", postgresql_url)
    refused = run("worker", "--plans", "fast", "--data", str(tmp_path / "worker"))
    assert refused.code == 2
    one_error(refused, words=["this worker in a folder: set STEMWRIGHT_STORAGE_URL to s3://stems/of-all here"])
