"""kill -9 of the server: while orders, a song or a callback are on their way, alone and with its worker."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import httpx
import pytest
from sqlalchemy import select

from stemwright.database import tables
from stemwright.storage.store import INCOMING_FOLDER
from tests.drills.conftest import Start
from tests.drills.orders import ORDERS, Order, Song, accepted, send, send_half, submit, upload
from tests.drills.proofs import Digests, digests, prove
from tests.drills.receiver import Receiver
from tests.drills.test_kill_worker import n_chunks
from tests.drills.tree import Tree
from tests.waiting import wait_until

CLIENTS = 6
KILLS = 4
"""Of one run at random moments: 100 in the 25 runs, and as many of the worker in test_kill_worker."""


class Crowd:
    """Clients that send one order after the other until the server is gone, and note the ids that they saw."""

    def __init__(self, tree: Tree, song: Song, hook: str, *, pause_s: float = 0.0) -> None:
        self.seen: list[str] = []
        self.unanswered: list[int] = []
        self._tree = tree
        self._song = song
        self._hook = hook
        self._pause_s = pause_s
        self._numbers = count()
        self._threads = [threading.Thread(target=self._work) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Waits until all of them have seen that the server is gone."""
        for thread in self._threads:
            thread.join()

    def insist(self) -> None:
        """Once there is a server again, sends what was not answered once more, where an order can have a key."""
        with self._tree.client() as client:
            for number in self.unanswered:
                if order_of(number) in ("twelve", "two"):
                    self._send(client, number)

    def _work(self) -> None:
        with self._tree.client() as client:
            for number in self._numbers:
                try:
                    self._send(client, number)
                except httpx.TransportError:
                    self.unanswered.append(number)
                    return
                time.sleep(self._pause_s)

    def _send(self, client: httpx.Client, number: int) -> None:
        answer = send(client, order_of(number), self._song, self._hook, f"{id(self)}-{number}")
        self.seen.append(accepted(answer))


def order_of(number: int) -> Order:
    """All of them in turn."""
    return ORDERS[number % len(ORDERS)]


@pytest.mark.long
def test_in_mid_submit(start: Start, receiver: Receiver, short: Path) -> None:
    tree = start(ready=False)
    with tree.client() as client:
        song = upload(client, short)
    crowd = Crowd(tree, song, receiver.url)
    wait_until(lambda: len(crowd.seen) >= 25, "orders are taken")
    tree.kill_server()
    crowd.join()
    assert len(crowd.unanswered) == CLIENTS
    tree.start(ready=False)
    crowd.insist()
    tasks = prove(tree, crowd.seen, receiver)
    assert all(task.state == "succeeded" for task in tasks.values())
    unseen = tasks.keys() - crowd.seen
    assert all(tasks[task_id].face != "native" for task_id in unseen), "an order with a key became two tasks"
    assert len(crowd.seen) == len(set(crowd.seen)) and len(unseen) <= CLIENTS


@pytest.mark.long
def test_in_mid_upload_and_mid_callback(start: Start, receiver: Receiver, short: Path) -> None:
    tree = start()
    incoming = tree.data / "files" / INCOMING_FOLDER
    never = threading.Event()
    receiver.open.clear()
    with tree.client() as client:
        ids = upload(client, short)
        made = submit(client, "vocal", ids, receiver.url)
    wait_until(lambda: receiver.arrived[made] == 1, "the callback is on its way")
    with ThreadPoolExecutor(2) as pool:
        paths = ("/v1/tracks", "/api/file-stream-upload")
        sent = [pool.submit(send_half, tree.url, tree.key, path, short, never) for path in paths]
        wait_until(lambda: len(list(incoming.iterdir())) == 2, "both songs are on their way")
        tree.kill_server()
        never.set()
        assert [one.result() for one in sent] == [None, None]
    receiver.open.set()
    tree.start()
    task = prove(tree, [made], receiver)[made]
    assert receiver.arrived[made] == 2
    service = tree.open()
    sounds = {stem.blob for stem in task.stems} | {hashlib.sha256(short.read_bytes()).hexdigest()}
    with service.database.read() as session:
        peaks = {row.source: row.blob for row in session.scalars(select(tables.Peaks))}
    assert peaks.keys() <= sounds
    assert set(service.store.digests()) == sounds | set(peaks.values()), "a half song has a final name"
    service.store.sweep(older_than_s=0)
    assert not list(incoming.iterdir())
    service.close()
    with tree.client() as client:
        again = upload(client, short)
        assert again != ids
        made = submit(client, "vocal", again, receiver.url)
    assert digests(prove(tree, [made], receiver)[made]) == digests(task)


@pytest.mark.long
def test_with_its_worker(start: Start, receiver: Receiver, song: Path, undisturbed: dict[Order, Digests]) -> None:
    tree = start()
    with tree.client() as client:
        made = submit(client, "twelve", upload(client, song), receiver.url)
    wait_until(lambda: n_chunks(tree, made) >= 1, "a chunk is done")
    tree.kill_all()
    assert n_chunks(tree, made) >= 1
    tree.start(ready=False)
    task = prove(tree, [made], receiver)[made]
    assert digests(task) == undisturbed["twelve"]


@pytest.mark.long
@pytest.mark.parametrize("chance", range(25), indirect=True)
def test_at_a_random_moment(
    start: Start, receiver: Receiver, song: Path, undisturbed: dict[Order, Digests], chance: random.Random
) -> None:
    tree = start(attempts=str(2 * KILLS))
    with tree.client() as client:
        ids = upload(client, song)
    seen = []
    for _ in range(KILLS):
        crowd = Crowd(tree, ids, receiver.url, pause_s=0.2)
        rest = threading.Event()
        time.sleep(chance.uniform(0, 2))
        half = threading.Thread(target=send_half, args=(tree.url, tree.key, "/v1/tracks", song, rest))
        half.start()
        time.sleep(chance.uniform(0, 1))
        chance.choice((tree.kill_server, tree.kill_all))()
        rest.set()
        half.join()
        crowd.join()
        tree.start(ready=chance.random() < 0.5)
        crowd.insist()
        seen += crowd.seen
    tasks = prove(tree, seen, receiver)
    assert all(task.state == "succeeded" for task in tasks.values())
    for task in tasks.values():
        assert digests(task) in undisturbed.values()
