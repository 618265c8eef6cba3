"""SIGTERM: what is under way in the server ends well, and what is under way in its worker goes on after the next start."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import httpx
import pytest

from stemwright.database import tables
from tests.drills.conftest import Start
from tests.drills.orders import send_half, submit, upload
from tests.drills.proofs import digests, prove
from tests.drills.receiver import Receiver
from tests.drills.test_kill_worker import n_chunks
from tests.waiting import wait_until


@pytest.mark.long
def test_requests_end_and_separations_go_on(start: Start, receiver: Receiver, long: Path) -> None:
    tree = start()
    rest = threading.Event()
    receiver.open.clear()
    with tree.client() as client, ThreadPoolExecutor(2) as pool:
        ids = upload(client, long)
        quick = submit(client, "two", ids, receiver.url)
        wait_until(lambda: receiver.arrived[quick] == 1, "a callback is on its way")
        made = submit(client, "twelve", ids, receiver.url)
        followed = pool.submit(follow, tree.url, tree.key, made)
        sent = pool.submit(send_half, tree.url, tree.key, "/v1/tracks", long, rest)
        wait_until(lambda: n_chunks(tree, made) >= 1, "a chunk is done")
        workers = tree.workers()
        tree.terminate()
        wait_until(lambda: not _listens(tree.url), "nothing new is taken")
        rest.set()
        receiver.open.set()
        answer = sent.result()
        assert answer is not None and answer.status_code == 201
        followed.result()
        assert tree.wait() == 0
    assert not any(worker.is_running() for worker in workers)
    assert receiver.arrived[quick] == 1

    service = tree.open()
    with service.database.read() as session:
        job = session.get_one(tables.Job, made)
        assert (job.leased_by, job.attempts) == (None, 0)
    service.close()
    tree.start(ready=False)
    tasks = prove(tree, [quick, made], receiver)
    assert receiver.arrived[quick] == 1, "what was delivered before the end is not sent again"
    with tree.client() as client:
        again = submit(client, "twelve", ids, receiver.url)
    assert digests(tasks[made]) == digests(prove(tree, [again], receiver)[again]), "as one that nobody disturbs"


def follow(url: str, key: str, task_id: str) -> None:
    """Reads the events of a task for as long as they come: a stream is cut at the end, and taken up again by id."""
    headers = {"Authorization": f"Bearer {key}"}
    with (
        suppress(httpx.RemoteProtocolError),
        httpx.stream("GET", f"{url}/v1/separations/{task_id}/events", headers=headers, timeout=240) as answer,
    ):
        for _ in answer.iter_lines():
            pass


def _listens(url: str) -> bool:
    try:
        httpx.get(f"{url}/livez")
    except httpx.TransportError:
        return False
    return True
