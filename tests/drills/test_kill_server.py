"""kill -9 of the server: while orders, a song or a callback are on their way, alone and with its worker."""

from __future__ import annotations

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path

import httpx
import pytest

from stemwright.storage.store import INCOMING
from tests.drills.conftest import Start
from tests.drills.orders import ORDERS, Order, Song, accepted, send, send_half, submit, upload
from tests.drills.proofs import Digests, digests, prove
from tests.drills.receiver import Receiver
from tests.drills.test_kill_worker import n_chunks
from tests.drills.tree import Tree, wait_until

CLIENTS = 6


class Crowd:
    """Clients that send one order after the other until the server is gone, and note the ids that they saw."""

    def __init__(self, tree: Tree, song: Song, hook: str) -> None:
        self.seen: list[str] = []
        self.n_unanswered = 0
        self._tree = tree
        self._song = song
        self._hook = hook
        self._orders = count()
        self._threads = [threading.Thread(target=self._send) for _ in range(CLIENTS)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        """Waits until all of them have seen that the server is gone."""
        for thread in self._threads:
            thread.join()

    def _send(self) -> None:
        with self._tree.client() as client:
            while True:
                try:
                    order = ORDERS[next(self._orders) % len(ORDERS)]
                    answer = send(client, order, self._song, self._hook)
                except httpx.TransportError:
                    self.n_unanswered += 1
                    return
                self.seen.append(accepted(answer))


def test_in_mid_submit(start: Start, receiver: Receiver, short: Path) -> None:
    tree = start(ready=False)
    with tree.client() as client:
        song = upload(client, short)
    crowd = Crowd(tree, song, receiver.url)
    wait_until(lambda: len(crowd.seen) >= 25, "orders are taken")
    tree.kill_server()
    crowd.join()
    assert crowd.n_unanswered == CLIENTS
    tree.start(ready=False)
    tasks = prove(tree, crowd.seen, receiver)
    assert all(task.state == "succeeded" for task in tasks.values())
    assert len(tasks) <= len(crowd.seen) + CLIENTS


def test_in_mid_upload(start: Start, receiver: Receiver, short: Path) -> None:
    tree = start(ready=False)
    never = threading.Event()
    incoming = tree.data / "files" / INCOMING
    with ThreadPoolExecutor(2) as pool:
        paths = ("/v1/tracks", "/api/file-stream-upload")
        sent = [pool.submit(send_half, tree.url, tree.key, path, short, never) for path in paths]
        wait_until(lambda: len(list(incoming.iterdir())) == 2, "both songs are on their way")
        tree.kill_server()
        never.set()
        assert [one.result() for one in sent] == [None, None]
    tree.start()
    prove(tree, [], receiver)
    service = tree.open()
    assert not list(service.store.digests()), "a half song has a final name"
    service.store.sweep(older_than_s=0)
    service.close()
    assert not list(incoming.iterdir())
    with tree.client() as client:
        made = submit(client, "two", upload(client, short), receiver.url)
    assert prove(tree, [made], receiver)[made].state == "succeeded"


def test_in_mid_callback(start: Start, receiver: Receiver, short: Path) -> None:
    tree = start()
    receiver.open.clear()
    with tree.client() as client:
        made = submit(client, "vocal", upload(client, short), receiver.url)
    wait_until(lambda: receiver.arrived[made] == 1, "the callback is on its way")
    tree.kill_server()
    receiver.open.set()
    tree.start(ready=False)
    prove(tree, [made], receiver)
    assert receiver.arrived[made] == 2


def test_with_its_worker(start: Start, receiver: Receiver, song: Path, undisturbed: dict[Order, Digests]) -> None:
    tree = start()
    with tree.client() as client:
        made = submit(client, "twelve", upload(client, song), receiver.url)
    wait_until(lambda: n_chunks(tree, made) == 1, "a chunk is done")
    tree.kill_all()
    assert n_chunks(tree, made) == 1
    tree.start(ready=False)
    task = prove(tree, [made], receiver)[made]
    assert digests(task) == undisturbed["twelve"]


@pytest.mark.long
@pytest.mark.parametrize("chance", range(20), indirect=True)
def test_at_a_random_moment(
    start: Start, receiver: Receiver, song: Path, undisturbed: dict[Order, Digests], chance: random.Random
) -> None:
    tree = start()
    with tree.client() as client:
        ids = upload(client, song)
    seen = []
    for _ in range(2):
        crowd = Crowd(tree, ids, receiver.url)
        rest = threading.Event()
        time.sleep(chance.uniform(0, 2))
        half = threading.Thread(target=send_half, args=(tree.url, tree.key, "/v1/tracks", song, rest))
        half.start()
        time.sleep(chance.uniform(0, 1))
        chance.choice((tree.kill_server, tree.kill_all))()
        rest.set()
        half.join()
        crowd.join()
        seen += crowd.seen
        tree.start(ready=chance.random() < 0.5)
    tasks = prove(tree, seen, receiver)
    assert all(task.state == "succeeded" for task in tasks.values())
    for task in tasks.values():
        assert digests(task) in undisturbed.values()
