"""Songs, servers to kill, a receiver of callbacks, and what an undisturbed server makes of the songs."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile

from stemwright.audio.decode import Decoder
from tests.drills.disk import Disk, mounted
from tests.drills.orders import ORDERS, Order, submit, upload
from tests.drills.proofs import Digests, digests, prove, prove_sum
from tests.drills.receiver import Receiver
from tests.drills.tree import Tree

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "song.mp3"
RATE_HZ = 44_100

Start = Callable[..., Tree]


@pytest.fixture(scope="session")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve seconds, which the engine hears in two chunks."""
    return _cut(tmp_path_factory.mktemp("song") / "song.wav", 12)


@pytest.fixture(scope="session")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Forty seconds: a fast machine is not done with it while a server ends."""
    return _cut(tmp_path_factory.mktemp("long") / "long.wav", 40)


@pytest.fixture(scope="session")
def short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds."""
    return _cut(tmp_path_factory.mktemp("short") / "short.wav", 2)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    """Hears of tasks that have ended."""
    with Receiver() as receiver:
        yield receiver


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts a server with settings of the test's own; at the end it is stopped."""
    with contextlib.ExitStack() as stack:

        def begin(*, ready: bool = True, disk: Disk | None = None, **settings: str) -> Tree:
            tree = Tree(tmp_path, disk=disk, **settings)
            stack.callback(tree.stop)
            tree.settle()
            tree.start(ready=ready)
            return tree

        yield begin


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A small file system; where this machine lets nobody mount one, the test is skipped."""
    folder = tmp_path / "disk"
    folder.mkdir()
    with mounted(folder, size_mb=64) as disk:
        if disk is None:
            pytest.skip("this machine lets nobody mount a small file system")
        yield disk


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, song: Path) -> dict[Order, Digests]:
    """What a server makes of the song that nobody kills."""
    tree = Tree(tmp_path_factory.mktemp("undisturbed"))
    tree.settle()
    tree.start()
    try:
        with Receiver() as receiver, tree.client() as client:
            ids = upload(client, song)
            made = {order: submit(client, order, ids, receiver.url) for order in ORDERS}
            tasks = prove(tree, made.values(), receiver)
            service = tree.open()
            for order in ("twelve", "two"):
                prove_sum(service.store, tasks[made[order]], song)
            service.close()
        return {order: digests(tasks[task_id]) for order, task_id in made.items()}
    finally:
        tree.stop()


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Chooses moments. The seed is printed where a drill fails, and may be given as the test's parameter."""
    seed = request.param
    print(f"seed {seed}")
    return random.Random(seed)


def _cut(path: Path, seconds: int) -> Path:
    blocks, length = [], 0
    with Decoder(EXAMPLE) as decoder:
        for block in decoder:
            blocks.append(block)
            length += block.shape[1]
            if length >= seconds * RATE_HZ:
                break
    samples = np.concatenate(blocks, axis=1)[:, : seconds * RATE_HZ]
    soundfile.write(path, samples.T, RATE_HZ, "PCM_16")
    return path
