"""kill -9 of the worker while it separates."""

from __future__ import annotations

import json
import random
import time
from pathlib import Path

import httpx
import pytest

from tests.drills.conftest import Start
from tests.drills.orders import Order, submit, upload
from tests.drills.proofs import Digests, digests, prove
from tests.drills.receiver import Receiver
from tests.drills.tree import Tree
from tests.waiting import wait_until

KILLS = 5
"""Of one run at random moments: 100 in the 20 runs, and as many of the server in test_kill_server."""


def n_chunks(tree: Tree, task_id: str) -> int:
    """How many chunks of a task are on the disk."""
    for state in tree.data.joinpath("work", task_id).rglob("state.json"):
        try:
            return int(json.loads(state.read_text())["n_chunks"])
        except (OSError, ValueError):  # it was done with just now
            return 0
    return 0


def stage(client: httpx.Client, task_id: str) -> str | None:
    """What is being done for a task, as its client sees it."""
    found = client.get(f"/v1/separations/{task_id}").json()["stage"]
    assert found is None or isinstance(found, str)
    return found


@pytest.mark.long
def test_in_mid_chunk_and_while_it_writes_and_stores(
    start: Start, receiver: Receiver, song: Path, undisturbed: dict[Order, Digests]
) -> None:
    tree = start()
    with tree.client() as client:
        ids = upload(client, song)
        made: dict[Order, str] = {"twelve": submit(client, "twelve", ids, receiver.url)}
        wait_until(lambda: n_chunks(tree, made["twelve"]) >= 1, "a chunk is done")
        tree.kill_worker()
        made["split_stem"] = submit(client, "split_stem", ids, receiver.url)
        tree.kill_worker_when(lambda: stage(client, made["twelve"]) == "writing", "stems are written")
        tree.kill_worker_when(lambda: stage(client, made["split_stem"]) == "storing", "stems are stored")
    tasks = prove(tree, made.values(), receiver)
    for order, task_id in made.items():
        assert digests(tasks[task_id]) == undisturbed[order]


@pytest.mark.long
@pytest.mark.parametrize("chance", range(20), indirect=True)
def test_at_a_random_moment(
    start: Start, receiver: Receiver, song: Path, undisturbed: dict[Order, Digests], chance: random.Random
) -> None:
    tree = start(attempts=str(2 * KILLS))
    with tree.client() as client:
        ids = upload(client, song)
        orders: list[Order] = ["twelve", "vocal"]
        made = {order: submit(client, order, ids, receiver.url) for order in orders}
        for _ in range(KILLS):
            time.sleep(chance.uniform(0, 3))
            tree.kill_worker()
            wait_until(tree.workers, "the next worker starts")
    tasks = prove(tree, made.values(), receiver)
    for order, task_id in made.items():
        assert digests(tasks[task_id]) == undisturbed[order]
