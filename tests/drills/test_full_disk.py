"""A disk that is full, for files and for the database: clear answers, nothing half done, and work again with room."""

from __future__ import annotations

import io
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import httpx
import psutil
import pytest

from tests.drills.conftest import Start
from tests.drills.disk import Disk
from tests.drills.orders import ORDERS, Order, Song, send, submit, upload
from tests.drills.proofs import Digests, digests, prove
from tests.drills.receiver import Receiver
from tests.drills.test_kill_worker import n_chunks
from tests.waiting import wait_until


def refused(client: httpx.Client, path: Path) -> None:
    """A song is sent on each face, and each says in its own words that it cannot be stored."""
    fields = {"uploadPath": "drills", "fileName": "song.wav"}
    with path.open("rb") as file:
        answer = client.post("/v1/tracks", files={"file": ("song.wav", file, "audio/wav")})
    assert answer.status_code == 507
    assert answer.json()["type"] == "urn:stemwright:problem:storage"
    with path.open("rb") as file:
        answer = client.post("/api/file-stream-upload", data=fields, files={"file": ("song.wav", file, "audio/wav")})
    body = answer.json()
    assert (answer.status_code, body["code"], body["success"]) == (200, 500, False)
    assert "try again later" in body["msg"]


def orders_refused(client: httpx.Client, song: Song, hook: str, fill: Callable[[], None] = lambda: None) -> None:
    """Orders on all faces are refused in the words of each, once ``fill`` has taken all room."""
    for order in ORDERS:
        # What the worker has in hand goes when it fails, at a moment of its own, and makes room for an order.
        for _ in range(5):
            fill()
            answer = send(client, order, song, hook)
            body = answer.json()
            if answer.status_code >= 400 or body.get("code") == 500:
                break
        if order == "split_stem":
            assert (answer.status_code, body["code"]) == (200, 500)
        elif order == "vocal":
            assert (answer.status_code, body["code"]) == (500, 500)
        else:
            assert (answer.status_code, body["type"]) == (507, "urn:stemwright:problem:storage")


@pytest.mark.long
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux sets the limits of a process that runs")
def test_a_limit_on_the_size_of_files(start: Start, receiver: Receiver, short: Path) -> None:
    """Where nobody may mount anything, this still says what happens to a server that may write no more."""
    tree = start(ready=False)
    tree.server.rlimit(psutil.RLIMIT_FSIZE, (100_000, -1))
    with tree.client() as client:
        refused(client, short)
        tree.server.rlimit(psutil.RLIMIT_FSIZE, (-1, -1))
        ids = upload(client, short)
        tree.server.rlimit(psutil.RLIMIT_FSIZE, (1, -1))
        orders_refused(client, ids, receiver.url)
        tree.server.rlimit(psutil.RLIMIT_FSIZE, (-1, -1))
        made = submit(client, "two", ids, receiver.url)
        wait_until(lambda: receiver.arrived[made], "the task ends")
        tree.server.rlimit(psutil.RLIMIT_FSIZE, (1, -1))
        zipped = client.get(f"/v1/separations/{made}/stems.zip")
        tree.server.rlimit(psutil.RLIMIT_FSIZE, (-1, -1))
        assert zipped.status_code == 200, "an archive is made on its way, without a file"
        with zipfile.ZipFile(io.BytesIO(zipped.content)) as archive:
            assert archive.testzip() is None and len(archive.namelist()) == 2
    assert prove(tree, [made], receiver)[made].state == "succeeded"


@pytest.mark.long
def test_while_songs_come_and_are_separated(
    start: Start,
    receiver: Receiver,
    disk: Disk,
    tmp_path: Path,
    short: Path,
    song: Path,
    undisturbed: dict[Order, Digests],
) -> None:
    tree = start(disk=disk)
    with tree.client() as client:
        workers = tree.workers()
        ids = upload(client, song)
        disk.fill(leave_bytes=1_000_000)
        refused(client, song)
        failed = submit(client, "twelve", ids, receiver.url)
        wait_until(lambda: receiver.arrived[failed], "the task fails")
        disk.empty()
        made = submit(client, "twelve", upload(client, song), receiver.url)
        wait_until(lambda: n_chunks(tree, made) >= 1, "a chunk is done")
        disk.fill(leave_bytes=500_000)
        wait_until(lambda: receiver.arrived[made], "the task fails as well")
        disk.empty()
        again = submit(client, "twelve", ids, receiver.url)
        wait_until(lambda: receiver.arrived[again], "the last task ends")
    assert tree.workers() == workers, "no process died of it"
    tree.bring_home(tmp_path / "home")
    tasks = prove(tree, [failed, made, again], receiver)
    for task in (tasks[failed], tasks[made]):
        assert (task.state, task.error_code) == ("failed", 501)
        assert task.error_message is not None and "no room" in task.error_message
    assert digests(tasks[again]) == undisturbed["twelve"]


@pytest.mark.long
def test_of_the_database(
    start: Start, receiver: Receiver, disk: Disk, tmp_path: Path, song: Path, undisturbed: dict[Order, Digests]
) -> None:
    tree = start(disk=disk)
    with tree.client() as client:
        workers = tree.workers()
        ids = upload(client, song)
        made = [submit(client, order, ids, receiver.url) for order in ORDERS]
        wait_until(lambda: n_chunks(tree, made[0]) >= 1, "a chunk is done")
        disk.fill()
        orders_refused(client, ids, receiver.url, disk.fill)

        def worker_waits() -> bool:
            disk.fill()  # what it had in hand goes when it fails; from then on nobody gives room back
            return "worker local/0 waits: No room is left" in tree.log.read_text()

        wait_until(worker_waits, "the worker sees it")
        disk.fill()
        refused(client, song)
        assert client.get("/livez").status_code == 200
        assert client.get("/readyz").status_code == 503
        assert client.get(f"/v1/separations/{made[-1]}").json()["state"] == "pending"
        disk.empty()
        wait_until(lambda: client.get("/readyz").status_code == 200, "there is room again")
        made.append(submit(client, "two", ids, receiver.url))
        wait_until(lambda: all(receiver.arrived[task] for task in made), "all tasks end")
    assert tree.workers() == workers, "no process died of it"
    tree.stop()
    disk.fill()
    status, said = tree.fail_to_start()
    assert status == 5 and "free some space" in said and "Traceback" not in said, said
    disk.empty()
    tree.bring_home(tmp_path / "home")
    tasks = prove(tree, made, receiver)
    assert tasks[made[-1]].state == "succeeded"
    for task_id, order in zip(made, (*ORDERS, "two"), strict=True):
        if (task := tasks[task_id]).state == "succeeded":
            assert digests(task) == undisturbed[order]
        else:
            assert (task.state, task.error_code) == ("failed", 501)
    assert "Traceback" not in tree.log.read_text(), "a full disk is no riddle"
