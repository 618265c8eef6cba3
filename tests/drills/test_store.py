"""An object store that hangs while songs are sent, separated and stored, and processes that die meanwhile."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.drills.conftest import Start
from tests.drills.orders import Order, submit, upload
from tests.drills.proofs import Digests, digests, prove
from tests.drills.receiver import Receiver
from tests.drills.test_kill_worker import n_chunks
from tests.seaweedfs import SeaweedFs
from tests.waiting import wait_until

OUTAGE_S = 20.0


@pytest.mark.long
@pytest.mark.parametrize("killed", [False, True], ids=["hangs", "hangs and a worker is killed"])
def test_the_store_hangs_for_20_s(
    start: Start,
    receiver: Receiver,
    song: Path,
    undisturbed: dict[Order, Digests],
    seaweedfs: SeaweedFs,
    bucket: str,
    monkeypatch: pytest.MonkeyPatch,
    killed: bool,
) -> None:
    """Tasks end as if nothing had been, with the same bytes: what was made is kept until it can be stored."""
    monkeypatch.setenv("STEMWRIGHT_STORAGE_URL", bucket)
    tree = start()
    with tree.client() as client:
        ids = upload(client, song)
        orders: list[Order] = ["twelve", "vocal"]
        made = {order: submit(client, order, ids, receiver.url) for order in orders}
        wait_until(lambda: n_chunks(tree, made["twelve"]) >= 1, "a chunk is done")
        with seaweedfs.frozen():
            time.sleep(OUTAGE_S / 2)
            if killed:
                tree.kill_worker()
            time.sleep(OUTAGE_S / 2)
    tasks = prove(tree, made.values(), receiver)
    for order, task_id in made.items():
        assert digests(tasks[task_id]) == undisturbed[order]
